"""What is in the events of pages, and how many pages there are, before Gradio sees it.

Gradio keeps what is chosen on each page, for so many pages, the ones used last: a script that gives each
request another page's name would push out those of all others. And it fetches what is named by a URL in the
place of a file, whatever its size, into the folder of uploads.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict
from typing import Any

from starlette.types import Message, Receive

from mgdemo.serving.budget import Budgets

EVENTS = re.compile(r"/(queue/join|component_server|(call|run|api)/.+|mcp(/.*)?)$")
A_MINUTE = 3  # new pages, for each request a second that a visitor may send
BURST_SECONDS = 120
KNOWN = 10_000  # pages whose names are remembered
REMOTE = re.compile(r"\s*[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # what begins with a protocol


class Arrivals:
    """New pages of each visitor. requests: that one may send in a second; 0: no limit on pages either."""

    def __init__(self, requests: float):
        self._budgets = Budgets(requests * A_MINUTE / 60, BURST_SECONDS)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    def admit(self, visitor: str, event: Any) -> bool:
        """Whether a visitor's page may send an event, by its JSON; without a name it is a new page."""
        page = event.get("session_hash") if isinstance(event, dict) else None
        now, key = time.monotonic(), (visitor, str(page)[:100])
        if page and key in self._known:
            self._known.move_to_end(key)
            return True
        if not self._budgets.take(visitor, now):
            return False
        self._known[key] = None
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return True


async def read_event(receive: Receive) -> tuple[Any, Receive]:
    """The JSON value in a body, None if there is none, and what receives that body again."""
    parts: list[Message] = []
    while not parts or parts[-1].get("more_body"):
        parts.append(await receive())
        if parts[-1]["type"] != "http.request":
            break
    try:
        value = json.loads(b"".join(part.get("body", b"") for part in parts))
    except (ValueError, RecursionError):
        value = None

    async def again() -> Message:
        return parts.pop(0) if parts else await receive()

    return value, again


def names_remote_files(event: Any) -> bool:
    """Whether a file in an event lies elsewhere than on this machine."""
    waiting = [event]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            path = value.get("path")
            if isinstance(path, str) and REMOTE.match(path):
                return True
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return False
