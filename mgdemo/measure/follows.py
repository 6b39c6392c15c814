"""Does the picture do what the controls say? Motion expected against motion seen, window by window."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from mgdemo.actions import MODES, ActionTrack
from mgdemo.measure.camera import AXES, Geometry
from mgdemo.measure.expected import expected_motion
from mgdemo.measure.pixels import small
from mgdemo.measure.segments import segments

HEIGHT = 144  # of the pictures in which motion is read
LEAST = 0.25  # of the expected motion, where a checkpoint's speeds are known
STILL = 0.1  # less than this is no motion; where speeds are not known, more than this is
STRONG = 0.5  # what a window is judged by
WEAK = 0.05
WINDOW = {"universal": 6, "gta_drive": 6, "templerun": 3}  # frames
# Walking is slow, so pictures two frames apart are compared; a car is fast: over two frames the bars of a
# crossing would be taken for one another.
APART = {"universal": 2, "gta_drive": 1, "templerun": 1}
ALWAYS = {"templerun": {"ahead", "bob"}}  # axes on which something always moves


@dataclass
class Window:
    """Frames `start` to `end` (both shown), what is held, and the motion expected and seen, by axis."""

    start: int
    end: int
    held: tuple[str, ...]
    expected: dict[str, float]  # strong axes only; empty where stillness is expected
    besides: tuple[str, ...]  # axes on which less should move
    seen: dict[str, float] = field(default_factory=dict)
    right: bool | None = None

    def json(self) -> dict:
        rounded = {
            name: {axis: round(float(v), 3) for axis, v in getattr(self, name).items()}
            for name in ("expected", "seen")
        }
        return {
            "from": self.start, "to": self.end, "held": "+".join(self.held), "right": self.right,
        } | rounded  # fmt: skip


def windows(track: ActionTrack) -> list[Window]:
    """Where the track can be judged: stretches of one held set in which the same motion goes on."""
    mode = MODES[track.mode]
    names, size = list(AXES[track.mode]), WINDOW[track.mode]
    motion = expected_motion(track)
    held = [
        mode.held(keyboard, None if track.mouse is None else track.mouse[i])
        for i, keyboard in enumerate(track.keyboard)
    ]
    found, start = [], 0
    while start + size <= len(motion):
        if (change := next((i for i in range(1, size) if held[start + i] != held[start]), 0)) > 0:
            start += change
            continue
        part = motion[start : start + size]
        mean = part.mean(0)
        steady = ~np.isnan(mean) & (np.sign(part) == np.sign(mean)).all(0)
        strong = steady & (np.abs(mean) >= STRONG)
        quiet = (np.abs(np.nan_to_num(part)) < WEAK).all(0) & ~np.isnan(mean)
        if strong.any() or quiet.all():
            expected = {name: float(mean[i]) for i, name in enumerate(names) if strong[i]}
            besides = tuple(name for i, name in enumerate(names) if quiet[i])
            # Where only what always moves does (a runner who has stepped aside), no control is judged.
            own = expected.keys() - ALWAYS.get(track.mode, set()) or not expected
            found.append(Window(start, start + size, held[start] if own else (), expected, besides))
        start += size
    return found


class Follows:
    """Takes a run's frames in order and judges its windows as soon as their frames are there."""

    def __init__(self, track: ActionTrack, *, known: bool = True, marks: Sequence[int] = ()):
        """known: whether the checkpoint moves at the embedded worlds' speeds, so that sizes count, too.
        marks: frames that part segments."""
        self.track, self.known, self._marks = track, known, marks
        self.windows = windows(track)
        self._todo = deque(self.windows)
        self._recent: deque[np.ndarray] = deque(maxlen=max(WINDOW.values()) + 1)
        self._frames = 0
        self._geometry: Geometry | None = None

    def add(self, frame: np.ndarray) -> None:
        """The next frame, uint8 [H, W, 3]."""
        self._recent.append(small(frame, HEIGHT))
        self._frames += 1
        while self._todo and self._todo[0].end < self._frames:
            self._judge(self._todo.popleft())

    def _judge(self, window: Window) -> None:
        if self._geometry is None:
            self._geometry = Geometry(self.track.mode, self._recent[0].shape[:2])
        apart, first = APART[self.track.mode], self._frames - len(self._recent)
        readings = []
        for i in range(window.start, window.end - apart + 1, apart):
            before, after = self._recent[i - first], self._recent[i + apart - first]
            readings.append(self._geometry.read(before, after, apart))
        window.seen = dict(zip(AXES[self.track.mode], np.median(readings, axis=0), strict=True))
        window.right = bool(self._right(window))

    def _right(self, window: Window) -> bool:
        besides = max((abs(window.seen[axis]) for axis in self._besides(window)), default=0.0)
        if not window.expected:
            return besides < STILL
        shares = [window.seen[axis] / size for axis, size in window.expected.items()]
        least = LEAST if self.known else STILL
        return min(shares) >= least and besides <= max(shares)

    def _besides(self, window: Window) -> list[str]:
        always = ALWAYS.get(self.track.mode, set())
        return [axis for axis in window.besides if axis not in always]

    def result(self) -> dict:
        """`score` (the mean over `controls`), `worst` (the control that follows least), `controls`,
        `segments` between marks or of 2 s, and all `windows`.

        A control's `size` is the median share of the expected motion that is seen; None where speeds are not
        known. Of nothing held, the score is the share of windows that stand still (or, of a runner, run).
        """
        judged = [window for window in self.windows if window.right is not None]
        controls = {}
        for held in dict.fromkeys(window.held for window in judged):
            mine = [window for window in judged if window.held == held]
            controls["+".join(held) or "nothing"] = {
                "score": _share(mine),
                "windows": len(mine),
                "size": self._size(mine) if self.known else None,
            }
        scores = {name: control["score"] for name, control in controls.items()}
        return {
            "score": float(np.mean(list(scores.values()))) if scores else None,
            "worst": min(scores, key=lambda name: scores[name]) if scores else None,
            "controls": controls,
            "segments": [
                {
                    "from": start,
                    "to": end,
                    "score": _share([window for window in judged if start <= window.start < end]),
                }
                for start, end in segments(self._frames, self._marks)
            ],
            "windows": [window.json() for window in judged],
        }

    @staticmethod
    def _size(judged: list[Window]) -> float | None:
        shares = [window.seen[axis] / size for window in judged for axis, size in window.expected.items()]
        return float(np.median(shares)) if shares else None


def _share(judged: list[Window]) -> float | None:
    return float(np.mean([bool(window.right) for window in judged])) if judged else None
