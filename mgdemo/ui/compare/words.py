"""What a visitor reads before a comparison begins: its size, its time, and what is lost between modes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from html import escape

from mgdemo.actions import MODES, Mode
from mgdemo.blocks import FPS
from mgdemo.compare.plan import Grid, Run, Speeds, seconds_of
from mgdemo.compare.translate import MEANINGS
from mgdemo.references import SHIPPED
from mgdemo.serving.limits import several
from mgdemo.ui.start_images import name_of

MOST_LINES = 12
BY_ITSELF = "(by itself)"


def size_of(grid: Grid, speeds: Speeds, kept: Collection[str] = (), devices: int = 1) -> str:
    """speeds: as far as known. kept: keys of runs that exist already. devices: that make runs at once."""
    runs = {run.key: run for run in grid.all}
    todo = [run for run in runs.values() if run.key not in kept]
    text = f"{several(len(runs), 'run')}, {grid.frames} frames, {grid.frames / FPS:.0f} s of video"
    there = len(runs) - len(todo)
    if not todo:
        return f"{text}. {'It is' if there == 1 else 'All are'} there already."
    if (seconds := seconds_of(todo, speeds, devices)) is not None:
        text += f"; about {_time(seconds)} to make"
    return f"{text}. {there} of them {'is' if there == 1 else 'are'} there already." if there else f"{text}."


def losses_of(grid: Grid) -> list[str]:
    """A sentence for each run in which something of the scenario has no counterpart, and for each column that
    starts from another picture; a few at most."""
    lines = list(dict.fromkeys([line for run in grid.all for line in (_starts(run), _loses(run)) if line]))
    more = len(lines) - MOST_LINES
    return lines[:MOST_LINES] + ([f"And {more} more."] if more > 0 else [])


def _loses(run: Run) -> str:
    mode, frames = MODES[run.case.track.mode], Counter()
    for lost in run.translation.lost:
        frames[_hint(mode, lost.control)] += lost.end - lost.start
    if not frames:
        return ""
    parts = [f"{hint.lower()} ({several(count, 'frame')})" for hint, count in frames.items()]
    title = run.variant.title or run.variant.checkpoint
    return f"{run.case.title} in {title}: nothing corresponds to {', '.join(parts)}."


def _starts(run: Run) -> str:
    wanted, taken = run.case.start.reference, run.start.reference
    if wanted is None or taken is None or wanted == taken:
        return ""
    wanted, taken = (name_of(reference.removeprefix(SHIPPED)) for reference in (wanted, taken))
    title = run.variant.title or run.variant.checkpoint
    return f"{run.case.title} in {title}: starts from {taken}, because {wanted} belongs to another world."


def _hint(mode: Mode, name: str) -> str:
    control = mode.control(name)
    return control.hint if control else name


def counterparts() -> str:
    """The tables of what corresponds between modes, as HTML: by meaning, and by key."""
    modes = list(MODES.values())
    meanings = [
        [what.capitalize(), *(_counterpart(mode, names) for mode in modes)]
        for what, names in MEANINGS.items()
    ]
    codes = dict.fromkeys(control.code for mode in modes for control in mode.controls)
    keys = [[_label(code), *(_of_key(mode, code) for mode in modes)] for code in codes]
    titles = [mode.title for mode in modes]
    return (
        '<div class="counterparts">'
        + _table("By meaning", ["Meaning", *titles], meanings)
        + _table("By key", ["Key", *titles], keys)
        + "</div>"
        "<p>What has no counterpart is left out; it is hatched in that column's lane and counted. A runner "
        "turns a quarter circle in one block, however long the key is held.</p>"
    )


def _counterpart(mode: Mode, names: Mapping[str, str]) -> str:
    if mode.name not in names:
        return "–"
    return _hint(mode, names[mode.name]) if names[mode.name] else BY_ITSELF


def _of_key(mode: Mode, code: str) -> str:
    control = mode.control(code)
    return control.hint if control else "–"


def _label(code: str) -> str:
    return next(c.label for mode in MODES.values() for c in mode.controls if c.code == code)


def _table(caption: str, head: list[str], rows: list[list[str]]) -> str:
    def cells(row: list[str], tag: str) -> str:
        first, *rest = map(escape, row)
        scope = "col" if tag == "th" else "row"
        return f'<th scope="{scope}">{first}</th>' + "".join(
            f"<{tag}{' scope=col' * (tag == 'th')}>{cell}</{tag}>" for cell in rest
        )

    body = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{cells(head, 'th')}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def _time(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
