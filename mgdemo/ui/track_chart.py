"""Draws a track: a lane of bars for each control, and one for each camera axis with its values as an area."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import groupby

import numpy as np

from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import FPS

AXES = {"pitch": 1, "yaw": -1}  # columns of the mouse vector; the sign of what is drawn upwards: up, and left
TICKS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600)  # seconds


def draw(track: ActionTrack) -> str:
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
    seconds = frames / FPS
    step = next((tick for tick in TICKS if seconds / tick <= 10), TICKS[-1])
    ticks = "".join(
        f'<span style="left:{100 * at / seconds:.3f}%">{at} s</span>'
        for at in range(0, int(seconds) + 1, step)
    )
    return (
        f'<div class="timeline" role="img" aria-label="Timeline of {seconds:.1f} s: {escape(_words(track))}">'
        f'{"".join(lanes)}<div class="axis"><div>{ticks}</div></div></div>'
    )


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
