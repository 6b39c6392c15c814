"""New pages: each makes Gradio keep what is chosen on it, for so many pages, the ones used last.

A script that gives each request another page's name would push out those of all others.
"""

from __future__ import annotations

import json
import re
import time
from collections import OrderedDict

from starlette.types import Message, Receive

from mgdemo.serving.budget import Budgets

EVENTS = re.compile(r"/(queue/join|(call|run|api)/.+)$")
A_MINUTE = 3  # new pages, for each request a second that a visitor may send
BURST_SECONDS = 120
KNOWN = 10_000  # pages whose names are remembered


class Arrivals:
    """requests: that a visitor may send in a second; 0: there is no limit on pages either."""

    def __init__(self, requests: float):
        self._budgets = Budgets(requests * A_MINUTE / 60, BURST_SECONDS)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def page_of(self, receive: Receive) -> tuple[str, Receive]:
        """The name of the page in the body of an event, and what receives that body again."""
        parts: list[Message] = []
        while not parts or parts[-1].get("more_body"):
            parts.append(await receive())
            if parts[-1]["type"] != "http.request":
                break
        try:
            said = json.loads(b"".join(part.get("body", b"") for part in parts))
        except (ValueError, RecursionError):
            said = None
        name = said.get("session_hash") if isinstance(said, dict) else None

        async def again() -> Message:
            return parts.pop(0) if parts else await receive()

        return name if isinstance(name, str) else "", again

    def admit(self, visitor: str, page: str) -> bool:
        """Whether a visitor's page may send an event. page: its name; "" is another one each time."""
        now, key = time.monotonic(), (visitor, page[:100])
        if page and key in self._known:
            self._known.move_to_end(key)
            return True
        if not self._budgets.take(visitor, now):
            return False
        self._known[key] = None
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return True
