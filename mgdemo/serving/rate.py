"""How quickly a session's blocks are made, as its status says it."""

from __future__ import annotations

from collections import deque

SLOW = 0.95  # of the nominal frame rate


class Rate:
    """How quickly blocks are made, over the last few."""

    def __init__(self, fps: int):
        self._nominal = fps
        self._recent: deque[tuple[float, int, bool]] = deque(maxlen=6)  # blocks: when, frames, too slow?

    def rest(self) -> None:
        """A pause begins or ends: it says nothing about the device."""
        self._recent.clear()

    def block(self, now: float, frames: int, made_ms: float, late: bool) -> None:
        # A player that has slowed down gets even slow blocks in time.
        self._recent.append((now, frames, late or made_ms > 1000 * frames / self._nominal))

    @property
    def fps(self) -> float | None:
        """Frames made per second, if that is known."""
        if len(self._recent) < 3:
            return None
        seconds = self._recent[-1][0] - self._recent[0][0]
        return sum(frames for _, frames, _ in list(self._recent)[1:]) / max(seconds, 1e-3)

    @property
    def slow(self) -> bool:
        """Whether the device makes fewer frames than are shown at normal speed."""
        fps = self.fps
        return fps is not None and fps < SLOW * self._nominal and all(slow for _, _, slow in self._recent)
