"""How much of something one may do in a while."""

from __future__ import annotations


class Budget:
    """So many things a second, and those of `burst` seconds at once. Moments are seconds of any clock."""

    def __init__(self, rate: float, burst: float, now: float):
        self._rate, self._most = rate, rate * burst
        self._left, self._at = self._most, now

    def take(self, now: float) -> bool:
        """Whether one more is within the budget."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
