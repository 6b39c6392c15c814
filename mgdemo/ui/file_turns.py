"""Turns to read files that visitors have sent: few at once, and one of each visitor.

Before its turn nothing of a file is read, so those that wait take no memory.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mgdemo.errors import UserError

AT_ONCE = 2  # files that are read at the same time
OF_ONE = 3  # files of one visitor that are read or wait
PATIENCE = 30.0  # seconds that a file waits

# Options of all events that read files. Together they hold few of the page's job slots, and those of one
# visitor only half of these.
EVENT: dict[str, Any] = {"concurrency_id": "files", "concurrency_limit": 2 * OF_ONE}


class NoTurn(UserError):
    """A file that was not read, as too many others are; the message says so."""


class FileTurns:
    """Those of all visitors. May be used from any thread."""

    def __init__(self):
        self._changed = threading.Condition()
        self._asked: Counter[str] = Counter()  # of each visitor, with those that are read
        self._reading: list[str] = []  # whose they are

    @contextmanager
    def one(self, name: str, visitor: str) -> Iterator[None]:
        """While it lasts, the file called `name` may be read. Raises NoTurn.

        visitor: whose it is; "" is not known, so any number of them.
        """
        with self._changed:
            if visitor and self._asked[visitor] >= OF_ONE:
                words = f"{OF_ONE} of your files are still waiting. Try again in a minute."
                raise NoTurn(f"{name} was not read: {words}")
            self._asked[visitor] += 1
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: self._free(visitor), PATIENCE):
                    raise NoTurn(f"{name} was not read: the server is busy. Try again in a minute.")
                self._reading.append(visitor)
            try:
                yield
            finally:
                with self._changed:
                    self._reading.remove(visitor)
                    self._changed.notify_all()
        finally:
            with self._changed:
                self._asked[visitor] -= 1
                self._asked += Counter()  # without those that have none

    def _free(self, visitor: str) -> bool:
        return len(self._reading) < AT_ONCE and not (visitor and visitor in self._reading)
