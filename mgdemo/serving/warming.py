"""What an engine loads before anybody asks for it, again and again until it has something in memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

PAUSE = 2.0  # seconds after a failure; twice as long after each further one
LONGEST_PAUSE = 300.0


def pause(failures: int) -> float:
    """For how long to wait after so many failures in a row, from 1."""
    return min(LONGEST_PAUSE, PAUSE * 2.0 ** (failures - 1))


@dataclass
class Warming:
    """One engine's. Moments are seconds of the monotonic clock.

    wanted: it has had nothing in memory yet. due: when to tell it (again). reason: of the latest failure.
    """

    wanted: bool = False
    due: float = math.inf
    failures: int = 0
    reason: str = ""

    def began(self) -> None:
        """It was told."""
        self.wanted, self.due = True, math.inf

    def failed(self, reason: str, now: float) -> None:
        """It could not load, or its worker was lost."""
        if self.wanted and math.isinf(self.due):  # else this try is known to have failed
            self.failures += 1
            self.reason, self.due = reason, now + pause(self.failures)

    def again(self, now: float, *, loaded: bool) -> bool:
        """Whether to tell it again now. loaded: it has a checkpoint in memory, whichever: somebody plays."""
        if loaded:
            self.wanted, self.failures, self.reason = False, 0, ""
        return self.wanted and now >= self.due
