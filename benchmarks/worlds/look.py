"""All that is found at one start. Not in `__main__`, which a worker process cannot import."""

from __future__ import annotations

import numpy as np

from benchmarks import controllability
from benchmarks.runs import Run, Starts, model_keep
from benchmarks.worlds import bars, speed, still, walk


def look(
    starts: Starts, run: Run, index: int, *, parts: list[str], seconds: float, vae: tuple[str, str] | None
) -> bars.Found:
    """What is found at one start; vae: the checkpoint and the device of the VAE, None for the truth."""
    keep = model_keep(*vae) if vae else np.asarray
    return bars.Found(
        still.look(starts, run, index, seconds) if "still" in parts else None,
        walk.look(starts, run, index, keep, seconds) if "walk" in parts else None,
        controllability.look(starts, run, index) if "keys" in parts else None,
        speed.true_speeds(starts, index) if "keys" in parts else None,
    )
