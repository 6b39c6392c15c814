"""There and back: is the place still the same when a run comes back to it?"""

from __future__ import annotations

import math

import numpy as np

from mgdemo.actions import ActionTrack
from mgdemo.measure.expected import poses
from mgdemo.measure.pixels import gray, likeness, small

HEIGHT = 72  # of the pictures that are compared
NEAR, FACING = 0.15, math.radians(2)  # units and radians within which a camera is back
AWAY, ASIDE = 1.0, math.radians(20)  # that it must have been away in between
MOVED = 0.15  # of likeness lost on the way: less, and the view has hardly moved


def loops(track: ActionTrack) -> list[tuple[int, int]]:
    """Pairs of frames (start, return) between which the camera goes away and comes back to where it began.

    By dead reckoning, from the first frame; the frame nearest to the start of each return.
    """
    at = poses(track)
    if at is None:
        return []
    far = np.hypot(at[:, 0], at[:, 1])
    turned = np.abs(at[:, 2:])
    back = (far < NEAR) & (turned < FACING).all(1)
    away = (far > AWAY) | (turned > ASIDE).any(1)
    miss = far / NEAR + turned.sum(1) / FACING
    found, gone, best = [], False, -1
    for i in range(len(at)):
        if back[i] and gone:
            best = i if best < 0 or miss[i] < miss[best] - 1e-9 else best
        elif best >= 0:
            found.append((0, best))
            gone, best = False, -1
        gone = gone or bool(away[i])
    return [*found, (0, best)] if best >= 0 else found


class Returns:
    """Takes a run's frames in order; `pairs` are the frames to compare, see `loops` or between marks."""

    def __init__(self, pairs: list[tuple[int, int]]):
        self.pairs = pairs
        self._frames: list[np.ndarray] = []  # gray and small: 9 KB each

    def add(self, frame: np.ndarray) -> None:
        """The next frame, uint8 [H, W, 3]."""
        if self.pairs:
            self._frames.append(gray(small(frame, HEIGHT)))

    def result(self) -> dict:
        """`score`: how like its start each return is (0 to 1), times how far the view had moved in between,
        so that a still picture earns nothing; the mean over all `pairs`, None without one.
        """
        found = []
        for start, back in self.pairs:
            if back >= len(self._frames):
                continue  # the run ended before it was back
            first = self._frames[start]
            way = range(start, back + 1, max(1, (back - start) // 24))
            least = min(likeness(first, self._frames[i]) for i in way)
            like = max(0.0, likeness(first, self._frames[back]))
            moved = min(1.0, max(0.0, 1 - least) / MOVED)
            found.append({"start": start, "back": back, "like": like, "moved": moved, "score": like * moved})
        scores = [pair["score"] for pair in found]
        return {"score": float(np.mean(scores)) if scores else None, "pairs": found}
