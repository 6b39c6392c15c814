"""The scores of a finished grid, as rows of plain values: for the report, for JSON and for CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

from mgdemo.compare.costs import COSTS, values
from mgdemo.compare.plan import Grid
from mgdemo.compare.run import Outcome
from mgdemo.compare.store import StoredRun
from mgdemo.measure.run import MEASURES
from mgdemo.measure.splits import Splits
from mgdemo.video.mp4 import read_frames

NEAR = 0.005  # scores that differ by less are alike


@dataclass(frozen=True)
class Cell:
    """A run in a finished grid. `scores` by measure, `splits` against the baseline: see `Splits.result`."""

    outcome: Outcome
    scores: dict[str, float | None]
    splits: dict | None = None
    best: frozenset[str] = frozenset()  # measures in which no other cell of the row is better

    @property
    def stored(self) -> StoredRun | None:
        return self.outcome.stored


def cells(grid: Grid, outcomes: Sequence[Outcome]) -> list[list[Cell]]:
    """Every run with its scores, by row. Where the leftmost column should show the same frames (the same
    actions from the same image), the others are compared with it frame by frame, which reads the videos."""
    by_key = {outcome.run.key: outcome for outcome in outcomes}
    rows = []
    for runs in grid.runs:
        made = [by_key[run.key] for run in runs]
        baseline = made[0]
        row = []
        for outcome in made:
            scores = dict.fromkeys(MEASURES)
            splits = None
            if outcome.stored:
                measures = outcome.stored.measures
                scores |= {name: measures[name]["score"] for name in MEASURES}
                if outcome is not baseline and baseline.stored and _alike(outcome, baseline):
                    splits = _splits(outcome.stored, baseline.stored)
                    scores["splits"] = splits and splits["score"]
            row.append(Cell(outcome, scores, splits))
        rows.append([Cell(cell.outcome, cell.scores, cell.splits, _best(cell, row)) for cell in row])
    return rows


def _alike(outcome: Outcome, baseline: Outcome) -> bool:
    """Whether the same frames are expected of both: the same actions from the same image and seed."""
    mine, other = outcome.run, baseline.run
    return mine.track == other.track and mine.image == other.image and mine.seed == other.seed


def _splits(stored: StoredRun, baseline: StoredRun) -> dict | None:
    splits = Splits()
    for frame, other in zip(read_frames(stored.video), read_frames(baseline.video), strict=True):
        if frame.shape != other.shape:
            return None
        splits.add(frame, other)
    return splits.result()


def _best(cell: Cell, row: Sequence[Cell]) -> frozenset[str]:
    best = set()
    for name in MEASURES:
        known = [score for other in row if (score := other.scores[name]) is not None]
        mine = cell.scores[name]
        if name != "splits" and mine is not None and len(known) > 1 and mine >= max(known) - NEAR:
            best.add(name)
    return frozenset(best)


def as_json(grid: Grid, rows: Sequence[Sequence[Cell]]) -> dict:
    """Everything needed to repeat the comparison and to judge it again."""
    return {
        "columns": [
            {name: value for name, value in vars(column).items() if name != "start"}
            for column in grid.columns
        ],
        "rows": [
            {
                "scenario": case.title,
                "image": case.start.reference,
                "seed": case.seed,
                "runs": [
                    {
                        "key": cell.outcome.run.key,
                        "error": cell.outcome.error,
                        "scores": cell.scores,
                        "splits": cell.splits,
                        "facts": cell.stored and cell.stored.facts,
                        "measures": cell.stored and cell.stored.measures,
                    }
                    for cell in row
                ],
            }
            for case, row in zip(grid.rows, rows, strict=True)
        ],
    }


def as_csv(grid: Grid, rows: Sequence[Sequence[Cell]]) -> str:
    """One line per run: what it was, its scores, and each control's own."""
    controls = sorted({name for row in rows for cell in row for name in _controls(cell)})
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["scenario", "image", "seed", "checkpoint", "optimization", "run", "frames", "fps"]
        + ["collapsed", "error", *MEASURES, *(cost.column for cost in COSTS)]
        + [f"follows {name}" for name in controls]
    )
    for case, row in zip(grid.rows, rows, strict=True):
        for cell in row:
            variant, stored = cell.outcome.run.variant, cell.stored
            facts = stored.facts if stored else {}
            writer.writerow(
                [
                    _text(case.title),
                    cell.outcome.run.start.reference or "",
                    cell.outcome.run.seed,
                    variant.checkpoint,
                    variant.optimization,
                ]
                + [
                    cell.outcome.run.key,
                    facts.get("frames", ""),
                    _number(facts.get("timings", {}).get("fps")),
                ]
                + [_collapsed(cell), _text(cell.outcome.error)]
                + [_number(cell.scores[name]) for name in MEASURES]
                + [_number(value) for value in values(stored and stored.facts)]
                + [_number(_controls(cell).get(name)) for name in controls]
            )
    return text.getvalue()


def _controls(cell: Cell) -> dict[str, float]:
    if cell.stored is None:
        return {}
    return {name: it["score"] for name, it in cell.stored.measures["follows"]["controls"].items()}


def _collapsed(cell: Cell) -> object:
    at = cell.stored and cell.stored.measures["holds"]["collapsed"]
    return "" if at is None else at


def _text(value: str) -> str:
    """A stranger's words; spreadsheets would compute what begins like a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def as_text(grid: Grid, rows: Sequence[Sequence[Cell]]) -> str:
    """The scores for a terminal; * marks the best of a row."""
    lines = [f"{'':44}" + "".join(f"{name:>10}" for name in MEASURES) + f"{'fps':>8}"]
    for case, row in zip(grid.rows, rows, strict=True):
        lines.append(case.title[:110])
        for cell in row:
            variant = cell.outcome.run.variant
            line = f"  {(variant.title or variant.checkpoint)[:40]:42}"
            if cell.stored is None:
                lines.append(f"{line}failed: {cell.outcome.error}")
                continue
            for name in MEASURES:
                score, mark = cell.scores[name], "*" if name in cell.best else " "
                line += f"{'-' if score is None else f'{score:.0%}':>9}{mark}"
            fps = cell.stored.facts["timings"]["fps"]
            lines.append(line + (f"{fps:8.1f}" if fps else f"{'-':>8}"))
    return "\n".join(lines)
