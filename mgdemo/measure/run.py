"""All measures of one run, fed with its frames as they are made or read back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mgdemo.actions import ActionTrack
from mgdemo.measure.follows import Follows
from mgdemo.measure.holds import Holds
from mgdemo.measure.mirrors import mirrors
from mgdemo.measure.returns import Returns, loops

# Below these a clip fails; true frames score 0.95 and more (tests/measure).
THRESHOLDS = {"follows": 0.6, "mirrors": 0.5, "returns": 0.6, "holds": 0.8, "splits": 0.9}
MEASURES = tuple(THRESHOLDS)


class RunMeasures:
    """Takes a run's frames in order; `result` may be asked for at any time. Memory: 9 KB a frame at most."""

    def __init__(
        self,
        track: ActionTrack,
        start: np.ndarray,
        *,
        known: bool = True,
        returns: Iterable[tuple[int, int]] | None = None,
        marks: Sequence[int] = (),
    ):
        """
        start: the start image as the world sees it, uint8 [H, W, 3].
        known: whether the checkpoint moves at the embedded worlds' speeds.
        returns: frames to compare; by default those at which the camera should be back where it began.
        marks: frames that part segments; without them, a segment is 2 s.
        """
        self._follows = Follows(track, known=known, marks=marks)
        self._holds = Holds(start, marks)
        self._returns = Returns(loops(track) if returns is None else list(returns))

    def add(self, frames: np.ndarray) -> None:
        """The next frames, uint8 [T, H, W, 3]."""
        for frame in frames:
            for measure in (self._follows, self._holds, self._returns):
                measure.add(frame)

    def result(self) -> dict:
        """Each measure's `score` (0 to 1, or None where it does not apply) and what it comes from."""
        return {
            "follows": self._follows.result(),
            "mirrors": mirrors(self._follows.track.mode, self._follows.windows),
            "returns": self._returns.result(),
            "holds": self._holds.result(),
            "splits": {"score": None},  # from a baseline, which is another run: see `Splits`
        }
