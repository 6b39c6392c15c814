"""A grid as one JSON value: what the lockstep player shows, on the page and in the report."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypedDict

from mgdemo.actions import MODES
from mgdemo.blocks import FPS
from mgdemo.compare.curves import Curve, Moment, Span, curves, moments, wrong
from mgdemo.compare.jobs import CellState, grid_id
from mgdemo.compare.lanes import LaneView, lanes
from mgdemo.compare.plan import Grid, Run
from mgdemo.compare.store import StoredRun
from mgdemo.compare.table import Cell
from mgdemo.measure.run import THRESHOLDS
from mgdemo.pads import mode_json
from mgdemo.references import SHIPPED

VERSION = 1  # of this shape
Film = Callable[[StoredRun], str]  # where a run's film is: an address that the page may fetch
# What each score asks, for people.
ASKS = {
    "follows": "moves as the controls say",
    "mirrors": "same and opposite actions look alike",
    "returns": "the place is there on the way back",
    "holds": "stays sharp, in its colors, steady",
    "splits": "shows the baseline's frames",
}


class ScoreView(TypedDict):
    """One measure. score: 0 to 1, None where it does not apply; delta: against the leftmost column; words:
    what it asks, or where it went wrong; best: of its row; fails: below the measure's threshold."""

    name: str
    score: float | None
    delta: float | None
    words: str
    best: bool
    fails: bool


class ControlView(TypedDict):
    """How well one control is followed. size: share of the expected motion, None where that is not known."""

    name: str
    score: float
    windows: int
    size: float | None
    fails: bool


class ProgressView(TypedDict):
    """How a run stands: the part of a cell that changes while it is made. Times in seconds.

    picture: a data address of its latest frame, small, or "". key: of the run; cells may share one.
    """

    key: str
    phase: str
    share: float
    fps: float | None
    seconds_left: float | None
    words: str
    error: str
    picture: str


class CellView(ProgressView):
    """One run. frames, width, height: of its film, known from the plan; video: "" until it is finished.

    The lists after `lanes` are empty until then.
    """

    title: str
    mode: str
    image: str
    seed: int
    frames: int
    width: int
    height: int
    video: str
    lanes: list[LaneView]
    curves: list[Curve]
    wrong: list[Span]
    moments: list[Moment]
    scores: list[ScoreView]
    controls: list[ControlView]


class MarkView(TypedDict):
    """A named moment of a row's scenario."""

    name: str
    frame: int


class RowView(TypedDict):
    """A scenario. frames: of its longest run."""

    title: str
    seed: int
    frames: int
    marks: list[MarkView]
    cells: list[CellView]


class GridView(TypedDict):
    """A grid with all that is known of its runs. id: the same for the same grid, everywhere.

    modes: `Mode.to_json` of each that occurs, by name: labels and places of the keys.
    """

    version: int
    id: str
    title: str
    fps: int
    columns: list[str]
    modes: dict[str, Any]
    rows: list[RowView]


def grid_view(
    grid: Grid,
    states: Sequence[CellState],
    film: Film,
    cells: Sequence[Sequence[Cell]] | None = None,
    title: str = "",
) -> GridView:
    """The view of a grid whose runs stand as `states` says (row by row, like `Job.states`).

    cells: scores of the finished grid (see `table.cells`); without them scores have no best, and nothing is
    compared with the baseline frame by frame.
    """
    width = len(grid.columns)
    rows: list[RowView] = []
    for i, (case, runs) in enumerate(zip(grid.rows, grid.runs, strict=True)):
        row = [
            _cell(run, state, film, cells[i][j] if cells else None)
            for j, (run, state) in enumerate(zip(runs, states[i * width : (i + 1) * width], strict=True))
        ]
        _set_deltas(row)
        marks: list[MarkView] = [{"name": mark.name, "frame": mark.frame} for mark in case.marks]
        frames = max(cell["frames"] for cell in row)
        rows.append({"title": case.title, "seed": case.seed, "frames": frames, "marks": marks, "cells": row})
    used = dict.fromkeys([column.mode for column in grid.columns] + [case.track.mode for case in grid.rows])
    return {
        "version": VERSION,
        "id": grid_id(grid),
        "title": title,
        "fps": FPS,
        "columns": [column.title or column.checkpoint for column in grid.columns],
        "modes": {name: mode_json(MODES[name]) for name in used},
        "rows": rows,
    }


def progress(states: Sequence[CellState]) -> list[ProgressView]:
    """What changes of the cells while runs are made, row by row: small enough to be sent often.

    Cells that become finished need the whole view, once.
    """
    return [_progress(state) for state in states]


def _progress(state: CellState) -> ProgressView:
    picture = state.picture and base64.b64encode(state.picture).decode()
    return {
        "key": state.key,
        "phase": state.phase,
        "share": round(state.share, 3),
        "fps": state.fps and round(state.fps, 1),
        "seconds_left": state.seconds_left and round(state.seconds_left),
        "words": state.words,
        "error": state.error,
        "picture": f"data:image/jpeg;base64,{picture}" if picture else "",
    }


def _cell(run: Run, state: CellState, film: Film, cell: Cell | None) -> CellView:
    height, width = run.variant.size
    stored = state.stored
    view: CellView = {
        **_progress(state),
        "title": run.variant.title or run.variant.checkpoint,
        "mode": run.variant.mode,
        "image": (run.start.reference or "own picture").removeprefix(SHIPPED),
        "seed": run.seed,
        "frames": run.frames,
        "width": width,
        "height": height,
        "video": film(stored) if stored else "",
        "lanes": lanes(run),
        "curves": [],
        "wrong": [],
        "moments": [],
        "scores": [],
        "controls": [],
    }
    if stored is not None:
        measures, splits = stored.measures, cell and cell.splits
        view["curves"] = curves(measures, splits, run.frames)
        view["wrong"] = wrong(measures)
        view["moments"] = moments(measures, splits)
        view["scores"] = [_score(name, measures, cell) for name in THRESHOLDS]
        view["controls"] = _controls(measures)
    return view


def _score(name: str, measures: dict, cell: Cell | None) -> ScoreView:
    score = cell.scores[name] if cell else measures[name]["score"]
    words, splits = ASKS[name], cell and cell.splits
    if name == "holds" and (at := measures["holds"]["collapsed"]) is not None:
        words = f"collapses at {at / FPS:.1f} s"
    if name == "splits" and splits and splits["first"] is not None:
        words = f"diverges from the baseline at {splits['first'] / FPS:.1f} s"
    if name == "follows" and (worst := measures["follows"]["worst"]) and score != 1:
        words += f"; least: {_plain(worst)}"
    return {
        "name": name,
        "score": score,
        "delta": None,
        "words": words,
        "best": cell is not None and name in cell.best,
        "fails": score is not None and score < THRESHOLDS[name],
    }


def _set_deltas(row: Sequence[CellView]) -> None:
    baseline = {score["name"]: score["score"] for score in row[0]["scores"]}
    for cell in row[1:]:
        for score in cell["scores"]:
            theirs = baseline.get(score["name"])
            if score["score"] is not None and theirs is not None:
                score["delta"] = score["score"] - theirs


def _plain(control: str) -> str:
    """The name of a control, as people read it."""
    return control.replace("_", " ")


def _controls(measures: dict) -> list[ControlView]:
    return [
        {
            "name": _plain(name),
            "score": control["score"],
            "windows": control["windows"],
            "size": control["size"],
            "fails": control["score"] < THRESHOLDS["follows"],
        }
        for name, control in measures["follows"]["controls"].items()
    ]
