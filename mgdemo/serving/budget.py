"""How much of something one may do in a while, or have at once."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

REMEMBERED = 10_000  # of those that have budgets, the latest ones


class Budget:
    """So many things a second, and those of `burst` seconds at once. Moments are seconds of any clock."""

    def __init__(self, rate: float, burst: float, now: float):
        self._rate, self._most = rate, rate * burst
        self._left, self._at = self._most, now

    def take(self, now: float, amount: float = 1) -> bool:
        """Whether so much more is within the budget, which it is taken from."""
        if self.spent(now, amount):
            return False
        self._left -= amount
        return True

    def spent(self, now: float, amount: float = 1) -> bool:
        """Whether so much more would be too much."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        return self._left < amount


class Budgets:
    """One for each visitor, as long as it is among the latest ones. rate: 0 is any number."""

    def __init__(self, rate: float, burst: float):
        self._rate, self._burst = rate, burst
        self._budgets: OrderedDict[str, Budget] = OrderedDict()

    def take(self, visitor: str, now: float, amount: float = 1) -> bool:
        """Whether so much more is within the visitor's budget."""
        return not self._rate or self._of(visitor, now).take(now, amount)

    def spent(self, visitor: str, now: float) -> bool:
        """Whether one more would be too much."""
        return bool(self._rate) and visitor in self._budgets and self._budgets[visitor].spent(now)

    def _of(self, visitor: str, now: float) -> Budget:
        budget = self._budgets.pop(visitor, None) or Budget(self._rate, self._burst, now)
        self._budgets[visitor] = budget  # now the newest
        while len(self._budgets) > REMEMBERED:
            self._budgets.popitem(last=False)
        return budget


class Holders:
    """What each visitor has at once. most: of one visitor; 0 is any number."""

    def __init__(self, most: int):
        self._most, self._held = most, Counter[str]()

    @contextmanager
    def one(self, visitor: str) -> Iterator[bool]:
        """While it lasts, the visitor has one more. Whether there may be one more, else it is not counted."""
        within = not self._most or self._held[visitor] < self._most
        self._held[visitor] += within
        try:
            yield within
        finally:
            self._held[visitor] -= within
            if not self._held[visitor]:
                del self._held[visitor]
