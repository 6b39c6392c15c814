"""How long a player's inputs take until a block obeys them."""

from __future__ import annotations

REMEMBERED = 200  # inputs; a player sends some 40 a second


class Inputs:
    """Those that no block has obeyed yet, by their number. Moments are seconds of the monotonic clock."""

    def __init__(self):
        self._came: dict[int, float] = {}

    def heard(self, input_seq: int, now: float) -> None:
        self._came.setdefault(input_seq, now)
        if len(self._came) > REMEMBERED:
            del self._came[next(iter(self._came))]

    def obeyed(self, input_seq: int, now: float) -> list[float]:
        """A block obeys all inputs up to this one: the seconds that each has taken."""
        done = [number for number in self._came if number <= input_seq]
        return [now - self._came.pop(number) for number in done]

    def forget(self) -> None:
        """Nothing is made for them now, as in a pause, so waiting says nothing about the server."""
        self._came.clear()
