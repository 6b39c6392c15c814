"""Which pages want which grids: a page that has left keeps nobody from canceling."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

BACK_SECONDS = 30.0  # in which a page follows what it has asked for, or is back after its connection was lost


@dataclass
class _Page:
    """One that asked for a grid.

    awaited: until when it counts without a socket; sockets: by which it follows the grid; refuses: it has
    canceled.
    """

    awaited: float
    sockets: int = 0
    refuses: bool = False


class Wanted:
    """By a grid's id, the tokens of the pages that asked for it. For any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._pages: dict[str, dict[str, _Page]] = {}
        self._lock = threading.Lock()

    def ask(self, id: str, running: Collection[str]) -> str:
        """The token of a page that asks for a grid. running: the grids that are not to be forgotten."""
        token = secrets.token_urlsafe(12)
        with self._lock:
            self._pages = {each: pages for each, pages in self._pages.items() if each in running}
            self._pages.setdefault(id, {})[token] = _Page(self._clock() + BACK_SECONDS)
        return token

    def arrive(self, id: str, token: str) -> None:
        """A page follows a grid, on one more socket."""
        with self._lock:
            if page := self._page(id, token):
                page.sockets += 1

    def leave(self, id: str, token: str, *, lost: bool) -> None:
        """A socket of a page is closed. lost: not by the page, which may be about to open another one."""
        with self._lock:
            if page := self._page(id, token):
                page.sockets -= 1
                page.awaited = self._clock() + (BACK_SECONDS if lost else 0.0)

    def by(self, id: str, token: str) -> bool:
        """Whether a page asked for a grid, and has not canceled it since."""
        with self._lock:
            page = self._page(id, token)
            return page is not None and not page.refuses

    def refuse(self, id: str, token: str) -> bool:
        """A page that asked for a grid wants it no more; whether no other one that is there does."""
        with self._lock:
            if (page := self._page(id, token)) is None:
                return False
            page.refuses = True
            now = self._clock()
            return all(
                each.refuses or (not each.sockets and each.awaited <= now)
                for each in self._pages[id].values()
            )

    def _page(self, id: str, token: str) -> _Page | None:
        return self._pages.get(id, {}).get(token)
