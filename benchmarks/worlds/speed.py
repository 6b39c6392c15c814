"""How fast each control moves the picture: read by flow, over what is read of the true one."""

from __future__ import annotations

from collections import defaultdict

from benchmarks.controllability import (
    EXPECTED,
    SCRIPTS,
    Held,
    free,
    judged_blocks,
    pairs_of,
    speed_of,
    track_of,
)
from benchmarks.runs import SIZE, Starts, true_run
from mgdemo.blocks import frames_in_blocks
from mgdemo.measure.camera import Geometry

BLOCKS = 2  # of each control that are read in truth, where all move alike


def controls(mode: str) -> list[Held]:
    """Single controls, and running itself."""
    return [held for held in EXPECTED[mode] if len(held) < 2]


def true_speeds(starts: Starts, index: int) -> dict[Held, list[float]]:
    """What is read of the true frames, by control, of some blocks of each script."""
    mode, run, found = starts.mode, true_run(starts), defaultdict(list)
    geometry = Geometry(mode, SIZE)
    for script in SCRIPTS[mode]:
        if not free(starts, index, script):
            continue
        for block in judged_blocks(mode, script):
            held = script[block]
            if held not in controls(mode) or len(found[held]) == BLOCKS:
                continue
            first, pairs = frames_in_blocks(block), pairs_of(mode, held)
            wanted = sorted({first + frame for pair in pairs for frame in pair})
            shown = dict(zip(wanted, run(index, track_of(mode, script), wanted), strict=True))
            reading = {(i, j): geometry.read(shown[first + i], shown[first + j], j - i) for i, j in pairs}
            found[held].append(speed_of(mode, held, reading))
    return dict(found)
