"""How a grid as a whole stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from mgdemo.compare.jobs import CellState
from mgdemo.compare.plan import Grid


class Totals(TypedDict):
    """runs, finished, failed, cancelled: numbers of runs; share: of all frames that are made, 0 to 1; fps:
    frames made a second, of all runs under way; seconds_left: None as long as it is not known."""

    runs: int
    finished: int
    failed: int
    cancelled: int
    share: float
    fps: float | None
    seconds_left: float | None


def totals(grid: Grid, states: Sequence[CellState]) -> Totals:
    """states: see `Job.states`. What two cells have in common counts once."""
    frames = {run.key: run.frames for run in grid.all}
    runs = {state.key: state for state in states}
    phases = [state.phase for state in runs.values()]
    todo = sum(frames[key] for key, state in runs.items() if state.phase not in ("failed", "cancelled"))
    made = sum(frames[key] * (state.share if not state.stored else 1) for key, state in runs.items())
    left = sum(frames[key] * (1 - state.share) for key, state in runs.items() if not state.over)
    fps = sum(state.fps or 0.0 for state in runs.values() if state.phase == "running") or None
    return {
        "runs": len(runs),
        "finished": phases.count("finished"),
        "failed": phases.count("failed"),
        "cancelled": phases.count("cancelled"),
        "share": min(1.0, made / todo) if todo else 1.0,
        "fps": fps and round(fps, 1),
        "seconds_left": round(left / fps) if fps and left else None,
    }
