"""How many long calls or events each visitor has under way: each holds a slot that others may want."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mgdemo.errors import UserError


class TooManyCalls(UserError):
    """One visitor asks for too much at once; the message says so."""


class Calls:
    """Those of all visitors. most: of one visitor; 0 is any number. what: they are and do, in words."""

    def __init__(self, most: int, what: str = "calls are still running"):
        self.most, self._what = most, what
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one(self, account: str) -> Iterator[None]:
        """While it lasts, a call of that visitor is under way. Raises TooManyCalls; "" is not counted."""
        with self._lock:
            if account and self.most and self._under_way[account] >= self.most:
                raise TooManyCalls(
                    f"{self.most} of your {self._what}, the limit per visitor: wait for one to finish."
                )
            self._under_way[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[account] -= 1
                self._under_way += Counter()  # without those that have none
