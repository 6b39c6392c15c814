"""How many long calls or events each visitor has under way: each holds a slot that others may want."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mgdemo.errors import UserError
from mgdemo.serving.limits import several


class TooManyCalls(UserError):
    """One visitor asks for too much at once; the message says so."""


class Calls:
    """Those of all visitors. most: of one visitor; 0 is any number. noun, state: what each is, in words."""

    def __init__(self, most: int, noun: str = "call", state: str = "running"):
        self.most, self._noun, self._state = most, noun, state
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def one(self, account: str) -> Iterator[None]:
        """While it lasts, a call of that visitor is under way. Raises TooManyCalls; "" is not counted."""
        with self._lock:
            if account and self.most and self._under_way[account] >= self.most:
                have = f"You already have {several(self.most, self._noun)} {self._state}"
                which = "it" if self.most == 1 else "one"
                raise TooManyCalls(f"{have}, which is the limit: wait for {which} to finish.")
            self._under_way[account] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[account] -= 1
                self._under_way += Counter()  # without those that have none
