"""What the records of a crowd prove: the order of the queue, and errors in the server's log."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import pairwise

from benchmarks.visitor import Record
from mgdemo.logs import session_id

PLACE = "A session got a place."  # as the service says it


def order_kept(visitors: Sequence[Record], places: Sequence[str]) -> bool:
    """Whether nobody got a place before another whose Start was answered when his own was not yet pressed.

    places: `session_id`s in the order in which they got one. Starts that overlap have no order.
    """
    by_id = {session_id(each.token): each for each in visitors if each.token}
    latest = -float("inf")  # of all so far, when Start was pressed
    for each in (by_id[place] for place in places if place in by_id):
        if each.answered < latest:
            return False
        latest = max(latest, each.asked)
    return True


def positions_fell(visitor: Record) -> bool:
    """Whether his position in the queue never grew."""
    return all(after <= before for before, after in pairwise(visitor.positions))


def admitted(log: str) -> list[str]:
    """Who got a place, in order, from the server's log in JSON lines."""
    return [line["session"] for line in _lines(log) if line.get("message") == PLACE]


def logged_errors(log: str) -> list[str]:
    """What the server itself holds for an error."""
    wrong = [line for line in _lines(log) if line.get("level") in ("error", "critical")]
    told = [f"server: {line['message']} {line.get('error', '')[-500:]}" for line in wrong]
    return told + ["server: a traceback"] * ("\nTraceback" in log)


def _lines(log: str) -> Iterator[dict]:
    for line in log.splitlines():
        if line.startswith("{"):
            yield json.loads(line)
