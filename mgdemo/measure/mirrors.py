"""Do the same and the opposite actions look alike, each time? Stretches of a run against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mgdemo.measure.follows import ALWAYS, LEAST, Window

NOISE = 0.05  # by which what is seen of one and the same true motion differs from place to place
ALIKE = 0.25  # by how much of the larger one two expected motions may differ, axis by axis


@dataclass(frozen=True)
class Stretch:
    """Windows one after the other in which the same is held and the same way is moved.

    expected, seen: the mean motion of those axes on which something is expected.
    """

    start: int
    end: int
    expected: dict[str, float]
    seen: dict[str, float]


def stretches(judged: Sequence[Window], always: set[str]) -> list[Stretch]:
    """always: axes on which something moves whatever is held; a stretch without others is no action."""
    runs: list[list[Window]] = []
    for window in judged:
        if not (window.seen and window.expected.keys() - always):
            continue
        last = runs[-1][-1] if runs else None
        if last and last.end == window.start and last.held == window.held and _way(last) == _way(window):
            runs[-1].append(window)
        else:
            runs.append([window])
    found = []
    for run in runs:
        axes = [axis for axis in run[0].expected if axis not in always]
        expected, seen = (
            {axis: float(np.mean([getattr(window, name)[axis] for window in run])) for axis in axes}
            for name in ("expected", "seen")
        )
        found.append(Stretch(run[0].start, run[-1].end, expected, seen))
    return found


def _way(window: Window) -> dict[str, float]:
    return {axis: np.sign(size) for axis, size in window.expected.items()}


def mirrors(mode: str, judged: Sequence[Window]) -> dict:
    """How alike the same and the opposite actions are, each with its counterpart elsewhere in the run.

    judged: windows of `Follows`, in order. `score`: 1 where what is seen of a stretch is what is seen of the
    other one (or the opposite of it), as nearly as flow can tell, 0 where it is unrelated or where nothing
    moves; None where no action is repeated or mirrored. `pairs`: the stretches of frames `a` and `b`; are
    they opposite?
    """
    pairs = []
    for a, b in combinations(stretches(judged, ALWAYS.get(mode, set())), 2):
        if not _comparable(a, b):
            continue
        sizes = np.abs(np.array(list(a.expected.values())))
        way = {axis: np.sign(a.expected[axis] * b.expected[axis]) for axis in a.expected}
        one = np.array([a.seen[axis] / a.expected[axis] for axis in a.expected])
        other = np.array([b.seen[axis] / b.expected[axis] for axis in a.expected])
        size = float(((np.abs(one) + np.abs(other)) * sizes).sum())
        apart = float((np.abs(one - other) * sizes).sum()) / max(size, 1e-9)
        alike = 1 - max(0.0, apart - NOISE) / (1 - NOISE)
        moved = min(1.0, size / float(2 * LEAST * sizes.sum()))
        opposite = any(sign < 0 for sign in way.values())
        score = alike * moved
        pairs.append({"a": [a.start, a.end], "b": [b.start, b.end], "opposite": opposite, "score": score})
    scores = [pair["score"] for pair in pairs]
    return {"score": float(np.mean(scores)) if scores else None, "pairs": pairs}


def _comparable(a: Stretch, b: Stretch) -> bool:
    """Whether the same sizes of motion are expected of both, on the same axes."""
    if a.expected.keys() != b.expected.keys():
        return False
    both = [(abs(a.expected[axis]), abs(b.expected[axis])) for axis in a.expected]
    return all(abs(one - other) <= ALIKE * max(one, other) for one, other in both)
