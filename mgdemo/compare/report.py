"""The report of a comparison: one HTML file that opens anywhere; and its figures, film and contact sheet."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from mgdemo import __version__
from mgdemo.compare import costs, player, report_films
from mgdemo.compare.grid_film import write_grid_film
from mgdemo.compare.jobs import CellState
from mgdemo.compare.plan import Grid, Run, summary
from mgdemo.compare.sheet import contact_sheet
from mgdemo.compare.store import StoredRun, write_json
from mgdemo.compare.table import Cell, as_csv, as_json
from mgdemo.compare.view import GridView, grid_view

TEMPLATES = Path(__file__).parent / "templates"
TALLEST = 16_000  # pixels of a picture in the page: a JPEG has 65,535 at most, browsers show less


def write_report(
    folder: Path,
    grid: Grid,
    rows: Sequence[Sequence[Cell]],
    *,
    title: str,
    device: str = "",
    inside: bool = True,
    film: bool = True,
) -> Path:
    """Write report.html, report.json, report.csv, contact-sheet.png and grid.mp4; returns the first.

    inside: whether the films are in the page, encoded to fit into 10 MB together; else it refers to those of
    the runs. film: whether to write grid.mp4, which takes the longest. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "report.json", as_json(grid, rows))
    (folder / "report.csv").write_text(as_csv(grid, rows), encoding="utf-8")
    sheet = contact_sheet(rows)
    if sheet is not None:
        sheet.save(folder / "contact-sheet.png")
    if film:
        write_grid_film(folder / "grid.mp4", rows, title)
    view = _view(grid, rows, folder, title, inside)
    path = folder / "report.html"
    path.write_text(_page(grid, rows, view, sheet, title, device), encoding="utf-8")
    return path


def _view(grid: Grid, rows: Sequence[Sequence[Cell]], folder: Path, title: str, inside: bool) -> GridView:
    seconds = report_films.seconds_of(cell.stored for row in rows for cell in row)

    def address(stored: StoredRun) -> str:
        return report_films.inside(stored, seconds) if inside else report_films.beside(stored, folder)

    states = [_state(cell) for row in rows for cell in row]
    return grid_view(grid, states, address, rows, title)


def _state(cell: Cell) -> CellState:
    outcome, key = cell.outcome, cell.outcome.run.key
    if outcome.stored is not None:
        return CellState(key, "finished", 1.0, stored=outcome.stored)
    if outcome.error:
        return CellState(key, "failed", error=outcome.error)
    return CellState(key, "cancelled", words="It was not made.")


def _page(
    grid: Grid,
    rows: Sequence[Sequence[Cell]],
    view: GridView,
    sheet: Image.Image | None,
    title: str,
    device: str,
) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["percent"] = percent
    environment.filters["points"] = points
    facts = [[cell.stored.facts if cell.stored else None for cell in row] for row in rows]
    return environment.get_template("report.html").render(
        title=title,
        summary=summary(grid),
        version=__version__,
        device=device,
        date=datetime.now().strftime("%Y-%m-%d"),
        view=view,
        facts=facts,
        costs=[costs.rows(row) for row in facts],
        repeats=[[_repeat(cell) for cell in row] for row in rows],
        modules=player.import_map(),
        player_css=player.CSS.read_text("utf-8"),
        report_css=(TEMPLATES / "report.css").read_text("utf-8"),
        sheet=[] if sheet is None else [_picture(part) for part in _parts(sheet)],
    )


def _repeat(cell: Cell) -> dict:
    """What is needed to make a run again: its scenario as it was run, and what it was made with."""
    run: Run = cell.outcome.run
    column = {name: value for name, value in vars(run.variant).items() if name != "start"}
    stored = cell.stored
    return {
        "title": run.variant.title or run.variant.checkpoint,
        "scenario": report_films.scenario_of(stored) if stored else "",
        "facts": stored.facts if stored else {"key": run.key, "seed": run.seed, "column": column},
        "error": cell.outcome.error,
    }


def percent(score: float | None) -> str:
    return "–" if score is None else f"{score:.0%}"


def points(delta: float | None) -> str:
    """A difference of scores in points of a hundred, with its sign."""
    return "" if delta is None else f"{100 * delta:+.0f}".replace("-", "−")


def _parts(sheet: Image.Image) -> list[Image.Image]:
    """A sheet from top to bottom, in pictures that are not too tall."""
    width, height = sheet.size
    return [sheet.crop((0, top, width, min(top + TALLEST, height))) for top in range(0, height, TALLEST)]


def _picture(image: Image.Image) -> str:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
