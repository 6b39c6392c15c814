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
from collections.abc import Callable
from typing import Any

from starlette.types import Message, Receive

from mgdemo.serving.budget import Budgets

EVENTS = re.compile(r"/(queue/join/?$|call/|mcp(/|$))")
A_MINUTE = 3  # new pages, for each request a second that a visitor may send
BURST_SECONDS = 120
KNOWN = 10_000  # visitors, the latest ones
PAGES = 50  # of one visitor, those used last: of each Gradio keeps what is chosen, some megabytes at worst
PAGE_NAME = 64  # characters of a page's name, which Gradio keeps for good; its own ones have at most 36
VALUES = 10_000  # in an event: each takes some hundred bytes of memory, however short it is written
REMOTE = re.compile(r"\s*[a-z][a-z0-9+.-]+:", re.IGNORECASE)  # what begins with a protocol
# A string of JSON, or what has begun as one: it always matches, so that time grows with the length only.
STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)


class Arrivals:
    """Pages of each visitor. requests: that one may send in a second; 0: no limit on pages either. forget:
    drops what is kept of a page, by its name."""

    def __init__(self, requests: float, forget: Callable[[str], None]):
        self._budgets, self._forget = Budgets(requests * A_MINUTE / 60, BURST_SECONDS), forget
        self._limited = bool(requests)
        self._known: OrderedDict[str, OrderedDict[str, None]] = OrderedDict()

    def admit(self, visitor: str, event: Any) -> bool:
        """Whether a visitor's page may send an event, by its JSON; without a name it is a new page."""
        if not self._limited:
            return True
        page = event.get("session_hash") if isinstance(event, dict) else None
        pages = self._known.get(visitor, OrderedDict())
        if page not in pages and not self._budgets.take(visitor, time.monotonic()):
            return False
        self._known[visitor] = pages
        self._known.move_to_end(visitor)
        if page:
            pages[page] = None
            pages.move_to_end(page)
        while len(pages) > PAGES:
            self._forget(pages.popitem(last=False)[0])
        while len(self._known) > KNOWN:
            self._known.popitem(last=False)
        return True


class Unread:
    """Events of each visitor that have no answer yet, or one that no page has read: Gradio keeps all of them.

    events: how many a page has, by its name; most: that one visitor may have, on all pages; 0: any number.
    """

    def __init__(self, events: Callable[[str], int], most: int):
        self._events, self._most = events, most
        self._pages: OrderedDict[str, set[str]] = OrderedDict()  # of each visitor, with such events

    def admit(self, visitor: str, event: Any) -> bool:
        """Whether a visitor's page may send one more event, by its JSON."""
        page = event.get("session_hash") if isinstance(event, dict) else None
        if not self._most or not isinstance(page, str):  # without a page it is one of few
            return True
        waiting = {each: self._events(each) for each in self._pages.pop(visitor, set()) | {page}}
        self._pages[visitor] = {each for each, events in waiting.items() if events or each == page}
        while len(self._pages) > KNOWN:
            self._pages.popitem(last=False)
        return sum(waiting.values()) < self._most


class BodyTooLarge(Exception):
    """A body is larger than it may be, or comes too slowly."""


class BadEvent(Exception):
    """A body that is not JSON in UTF-8."""


async def read_event(receive: Receive) -> tuple[Any, int, Receive]:
    """The JSON value in a body, None if there is none; its length; and what receives that body again.

    Raises BodyTooLarge for one of more than VALUES values, and BadEvent for one in another encoding, which
    Gradio would read, too, but whose values cannot be counted without making them.
    """
    parts: list[Message] = []
    while not parts or parts[-1].get("more_body"):
        parts.append(await receive())
        if parts[-1]["type"] != "http.request":
            break
    body = b"".join(part.get("body", b"") for part in parts)
    if not _utf8(body):
        raise BadEvent
    if _values(body) > VALUES:
        raise BodyTooLarge
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None

    async def again() -> Message:
        return parts.pop(0) if parts else await receive()

    return value, len(body), again


def _utf8(body: bytes) -> bool:
    """Whether a body is a text in UTF-8. JSON in UTF-16 or UTF-32 always has zeros, and no other has."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return 0 not in body


def _values(body: bytes) -> int:
    """How many values are in JSON at most, counted without making them."""
    outside = STRING.sub(b"", body)
    return 1 + sum(map(outside.count, (b",", b"[", b"{")))


def names_a_page(event: Any) -> bool:
    """Whether the page of an event, by its JSON, has a name that may be one, or none at all."""
    page = event.get("session_hash") if isinstance(event, dict) else None
    return page is None or (isinstance(page, str) and 0 < len(page) <= PAGE_NAME)


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
