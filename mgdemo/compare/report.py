"""The report of a comparison: one HTML file that opens anywhere, and the same as JSON and CSV."""

from __future__ import annotations

import base64
import io
import json
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jinja2 import Environment, FileSystemLoader, select_autoescape
from PIL import Image

from mgdemo import __version__
from mgdemo.blocks import FPS
from mgdemo.compare.plan import Grid, summary
from mgdemo.compare.store import StoredRun, write_json
from mgdemo.compare.table import Cell, as_csv, as_json
from mgdemo.measure.run import THRESHOLDS
from mgdemo.references import SHIPPED
from mgdemo.video.mp4 import read_frames, write_mp4

TEMPLATES = Path(__file__).parent / "templates"
CRF = 30  # of the videos inside: about 25 KB a second at 256x144
SHEET_FRAMES, SHEET_HEIGHT = 8, 72
WORDS = {
    "follows": "moves as the controls say",
    "mirrors": "same and opposite actions look alike",
    "returns": "the place is there on the way back",
    "holds": "stays sharp, in its colors, steady",
    "splits": "shows the baseline's frames",
}


def write_report(
    folder: Path,
    grid: Grid,
    rows: Sequence[Sequence[Cell]],
    *,
    title: str,
    device: str = "",
    inside: bool = True,
) -> Path:
    """Write report.html, report.json, report.csv and contact-sheet.png into `folder`; returns the first.

    inside: whether the videos are in the file, smaller than those of the runs; else it refers to them. A grid
    of 3 x 3 runs of 12 s is well under 10 MB.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", as_json(grid, rows))
    (folder / "report.csv").write_text(as_csv(grid, rows), encoding="utf-8")
    sheet = contact_sheet(rows)
    if sheet is not None:
        sheet.save(folder / "contact-sheet.png")
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=select_autoescape())
    page = environment.get_template("report.html").render(
        title=title,
        summary=summary(grid, {}),
        version=__version__,
        device=device,
        date=datetime.now().strftime("%Y-%m-%d"),
        fps=FPS,
        most=max((run.frames for run in grid.all), default=1),
        sheet=None if sheet is None else _picture(sheet),
        rows=[
            {
                "title": case.title,
                "seed": case.seed,
                "frames": len(case.track),
                "cells": [_cell(cell, folder, inside) for cell in row],
            }
            for case, row in zip(grid.rows, rows, strict=True)
        ],
    )
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def _cell(cell: Cell, folder: Path, inside: bool) -> dict:
    run, stored = cell.outcome.run, cell.stored
    title = run.variant.title or run.variant.checkpoint
    if stored is None:
        return {"title": title, "error": cell.outcome.error}
    follows = stored.measures["follows"]
    return {
        "title": title,
        "error": "",
        "image": (run.start.reference or "own picture").removeprefix(SHIPPED),
        "frames": run.frames,
        "video": _video(stored) if inside else _relative(stored.video, folder),
        "curve": _curve(cell),
        "curve_words": "Likeness to the baseline" if cell.splits else "Sharpness, of the start image's",
        "wrong": [(w["from"], w["to"]) for w in follows["windows"] if not w["right"]],
        "lost": [(lost.start, lost.end) for lost in run.translation.lost],
        "scores": [_score(name, cell) for name in THRESHOLDS],
        "controls": [_control(name, it) for name, it in follows["controls"].items()],
        "facts": json.dumps(stored.facts, indent=1, ensure_ascii=False),
    }


def _score(name: str, cell: Cell) -> dict:
    score, words = cell.scores[name], WORDS[name]
    assert cell.stored is not None
    if name == "holds" and (at := cell.stored.measures["holds"]["collapsed"]) is not None:
        words = f"collapsed at {at / FPS:.1f} s"
    if name == "splits" and cell.splits and cell.splits["first"] is not None:
        words = f"parts from the baseline at {cell.splits['first'] / FPS:.1f} s"
    if name == "follows" and (worst := cell.stored.measures["follows"]["worst"]) and score != 1:
        words += f"; least: {worst}"
    low = score is not None and score < THRESHOLDS[name]
    kind = "best " * (name in cell.best) + "low" * low
    return {"name": name, "text": _percent(score), "words": words, "kind": kind.strip()}


def _control(name: str, control: dict) -> dict:
    size = control["size"]
    words = f"{control['windows']} windows" + (f", {size:.2f} of its size" if size is not None else "")
    kind = "low" if control["score"] < THRESHOLDS["follows"] else ""
    return {"name": name, "text": _percent(control["score"]), "words": words, "kind": kind}


def _percent(score: float | None) -> str:
    return "–" if score is None else f"{score:.0%}"


def _curve(cell: Cell) -> str:
    """Points of a line in a box of 100: likeness to the baseline, else sharpness (1 in the middle)."""
    if cell.splits:
        heights = [100 - 100 * min(1.0, max(0.0, frame["ssim"])) for frame in cell.splits["frames"]]
    else:
        assert cell.stored is not None
        frames = cell.stored.measures["holds"]["frames"]
        heights = [100 - 50 * min(2.0, frame["sharpness"]) for frame in frames]
    return " ".join(f"{i},{height:.1f}" for i, height in enumerate(heights))


def _video(stored: StoredRun) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.mp4"
        write_mp4(path, read_frames(stored.video), FPS, crf=CRF)
        return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path.resolve(), folder.resolve())).as_posix()


def contact_sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image | None:
    """A strip of frames for each run, from left to right in time; None if there are no runs."""
    strips = [_strip(cell.stored) for row in rows for cell in row if cell.stored]
    if not strips:
        return None
    width = max(strip.shape[1] for strip in strips)
    padded = [np.pad(strip, ((0, 2), (0, width - strip.shape[1]), (0, 0))) for strip in strips]
    return Image.fromarray(np.concatenate(padded))


def _strip(stored: StoredRun) -> np.ndarray:
    frames = stored.facts["frames"]
    wanted = set(np.linspace(0, frames - 1, SHEET_FRAMES).round().astype(int).tolist())
    shown = [frame for i, frame in enumerate(read_frames(stored.video)) if i in wanted]
    width = round(shown[0].shape[1] * SHEET_HEIGHT / shown[0].shape[0])
    return np.concatenate(
        [np.asarray(Image.fromarray(frame).resize((width, SHEET_HEIGHT))) for frame in shown], axis=1
    )


def _picture(image: Image.Image) -> str:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
