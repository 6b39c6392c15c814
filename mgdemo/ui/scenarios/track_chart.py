"""Draws a track: a lane of bars for each control, one for each camera axis with its values as an area; marks.

Over the lanes lies a slider that reads them: `chart.js` moves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby

import numpy as np

from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import FPS
from mgdemo.scenario import Mark

AXES = {"pitch": 1, "yaw": -1}  # columns of the mouse vector; the sign of what is drawn upwards: up, and left
TICKS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # seconds


def draw(track: ActionTrack, marks: Sequence[Mark] = ()) -> str:
    """The timeline of `track` as HTML; the colors come from the page's theme."""
    mode, frames = MODES[track.mode], len(track)
    lanes = [
        _lane(control.hint, frames, _bars(track.keyboard[:, control.keyboard]))
        for control in mode.controls
        if control.keyboard is not None
    ]
    for axis, (name, upwards) in enumerate(AXES.items()):
        if name in mode.axes and track.mouse is not None:
            turning = [(c.mouse[axis], c.hint) for c in mode.controls if c.mouse and c.mouse[axis]]
            ways = sorted((-upwards * value, hint) for value, hint in turning)
            label = "\n".join(hint for _, hint in ways)  # the way that goes up in the lane comes first
            lanes.append(_lane(label, frames, _area(upwards * track.mouse[:, axis]), "camera"))
    words = f"Timeline of {frames / FPS:.1f} s: {_words(track)}{_named(marks)}"
    return (
        f'<div class="timeline" data-frames="{frames}" data-fps="{FPS}">{_flags(marks, frames)}'
        f'<div role="img" aria-label="{escape(words)}">{"".join(lanes)}{_axis(frames)}</div>'
        f'<div class="reader" role="slider" tabindex="0" data-takes-keys aria-label="Time in the scenario" '
        f'aria-valuemin="0" aria-valuemax="{frames - 1}" aria-valuenow="0"><span class="now" hidden></span>'
        '<span class="cursor" hidden><span></span></span></div></div>'
    )


def _axis(frames: int) -> str:
    seconds = frames / FPS
    step = next((tick for tick in TICKS if seconds / tick <= 10), TICKS[-1])
    ticks = "".join(
        f'<span style="left:{100 * at / seconds:.3f}%">{at} s</span>'
        for at in range(0, int(seconds) + 1, step)
    )
    return f'<div class="axis"><div>{ticks}</div></div>'


def _flags(marks: Sequence[Mark], frames: int) -> str:
    """A line with its name for each mark; a name has the room up to the next one."""
    if not marks:
        return ""
    ends = [*(mark.frame for mark in marks[1:]), frames]
    flags = "".join(
        f'<span style="left:{100 * mark.frame / frames:.3f}%;width:{100 * (end - mark.frame) / frames:.3f}%" '
        f'data-frame="{mark.frame}" title="{escape(mark.name)}"><b>{escape(mark.name)}</b></span>'
        for mark, end in zip(marks, ends, strict=True)
    )
    return f'<div class="marks" aria-hidden="true">{flags}</div>'


def _named(marks: Sequence[Mark]) -> str:
    named = ", ".join(f"{mark.name} at {mark.frame / FPS:.1f} s" for mark in marks)
    return f"; marks: {named}" if named else ""


def _lane(label: str, frames: int, shapes: str, kind: str = "") -> str:
    unused = "" if "<rect" in shapes else "unused"
    return (
        f'<div class="lane {kind} {unused}"><span>{escape(label)}</span>'
        f'<svg viewBox="0 0 {frames} 2" preserveAspectRatio="none">{shapes}</svg></div>'
    )


def _runs(values: np.ndarray) -> Iterator[tuple[int, int, float]]:
    """(start, length, value) of each stretch of equal values that is not zero."""
    start = 0
    for value, group in groupby(values.tolist()):
        length = sum(1 for _ in group)
        if value:
            yield start, length, value
        start += length


def _bars(values: np.ndarray) -> str:
    return "".join(f'<rect x="{x}" y="0" width="{w}" height="2"/>' for x, w, _ in _runs(values))


def _area(values: np.ndarray) -> str:
    """Bars up and down from the middle; full height is the largest value, or a held key's if that is more."""
    scale = max(0.1, float(np.abs(values).max(initial=0)))
    bars = "".join(
        f'<rect x="{x}" y="{min(1, 1 - v / scale):.4f}" width="{w}" height="{abs(v) / scale:.4f}"/>'
        for x, w, v in _runs(values)
    )
    return bars + f'<path d="M0 1H{len(values)}"/>'


def _words(track: ActionTrack) -> str:
    """Text alternative for screen readers: how long each control is held."""
    mode = MODES[track.mode]
    held: dict[str, int] = {}
    for i in range(len(track)):
        for name in mode.held(track.keyboard[i], None if track.mouse is None else track.mouse[i]):
            held[name] = held.get(name, 0) + 1
    hints = {control.name: control.hint for control in mode.controls}
    return ", ".join(f"{hints[name]} {n / FPS:.1f} s" for name, n in held.items()) or "nothing held"
