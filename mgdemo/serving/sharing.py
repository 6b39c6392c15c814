"""Who gets a place next, and who gives it back: a pure function of who has one and who waits.

Visitors come first. A run of a comparison takes a place that nobody else wants, at most one on each device,
so that its speed is its own; as soon as a visitor needs the place, it gives it back between two blocks and
continues later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Holder:
    """A session that has a place. background: a run of a comparison. began: when it got the place.
    engine: None while it has none, since a worker was lost."""

    token: str
    engine: int | None
    background: bool = False
    began: float = 0.0


@dataclass(frozen=True)
class Applicant:
    """A session that waits. engine: the one that keeps its world, since it gave way to a visitor."""

    token: str
    background: bool = False
    engine: int | None = None


@dataclass(frozen=True)
class Move:
    """A session that gets a place on one of the `engines`, or, where there are none, gives its place back."""

    token: str
    engines: frozenset[int]


def next_move(
    holders: Sequence[Holder],
    applicants: Sequence[Applicant],
    places: int,
    engines: Collection[int],
    each: int = 0,
) -> Move | None:
    """What to do now, if anything; ask again until there is nothing.

    applicants: in the order in which they wait; places: that there are, over all engines; engines: those that
    work; each: how many sessions one of them takes, 0 for any number.
    """
    working, counts = frozenset(engines), Counter(holder.engine for holder in holders)
    room = frozenset(engine for engine in working if not each or counts[engine] < each)
    free = len(holders) < places and bool(room)
    visitor = next((applicant for applicant in applicants if not applicant.background), None)
    runs = [holder for holder in holders if holder.background]
    if not working:
        return None
    if visitor is not None:
        if free:
            return Move(visitor.token, room)
        return Move(max(runs, key=lambda run: run.began).token, frozenset()) if runs else None
    alone = room - {run.engine for run in runs}
    for run in applicants if free else ():
        if allowed := alone if run.engine is None else alone & {run.engine}:
            return Move(run.token, frozenset(allowed))
    return None
