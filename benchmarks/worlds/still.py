"""Does a picture stand as long as nothing should move it?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.runs import Run, Starts
from mgdemo.actions import ActionTrack
from mgdemo.blocks import FPS
from mgdemo.measure.pixels import detail, psnr

# What is held for a minute; a view that looks up or down is at its end after half a second.
HELD: dict[str, tuple[tuple[str, ...], ...]] = {
    "universal": ((), ("look_up",), ("look_down",)),
    "gta_drive": ((),),
    "templerun": (),
}
FIRST = FPS  # the frame to which all later ones are compared
EVERY = FPS // 2
LIKE = 24.0  # dB
DETAIL = (0.7, 1.4)  # of the start's


class Stood(NamedTuple):
    """Of one run: the least PSNR, and the least and the greatest detail over the start's."""

    psnr: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.psnr >= LIKE and self.low >= DETAIL[0] and self.high <= DETAIL[1]


def look(starts: Starts, run: Run, index: int, seconds: float = 60) -> dict[str, Stood]:
    """All that stand from one start, by what is held."""
    found = {}
    for held in HELD[starts.mode]:
        length = round(seconds * FPS)
        wanted = [0, *range(FIRST, length, EVERY)]
        track = ActionTrack.hold(starts.mode, held, frames=length)
        found["+".join(held) or "nothing"] = judge(run(index, track, wanted), moves=bool(held))
    return found


def judge(frames: np.ndarray, *, moves: bool) -> Stood:
    """Frames [N, H, W, 3]: the start, the frame at 1 s, and later ones. Where the view `moves` at first, its
    detail is compared with that at 1 s, else with that of the start."""
    own = detail(frames[1] if moves else frames[0])
    shares = [detail(frame) / max(own, 1e-6) for frame in frames[1:]]
    return Stood(min(psnr(frame, frames[1]) for frame in frames[2:]), min(shares), max(shares))
