"""When each control of a run is held: the lanes of a timeline."""

from __future__ import annotations

from itertools import groupby
from typing import TypedDict

from mgdemo.actions import MODES, ActionTrack
from mgdemo.compare.curves import Span
from mgdemo.compare.plan import Run


class LaneView(TypedDict):
    """When one control is held. lost: it is held in the scenario and has no counterpart in this mode."""

    control: str
    label: str
    hint: str
    lost: bool
    spans: list[Span]


def lanes(run: Run) -> list[LaneView]:
    """Of each control that a run holds, and then of each that is lost in translation."""
    held = _held(run.translation.track)
    source = MODES[run.case.track.mode]
    lost: dict[str, list[Span]] = {}
    for one in run.translation.lost:
        lost.setdefault(one.control, []).append((one.start, one.end))
    return [_lane(run.variant.mode, name, spans, False) for name, spans in held.items()] + [
        _lane(source.name, name, spans, True) for name, spans in lost.items()
    ]


def _lane(mode: str, name: str, spans: list[Span], lost: bool) -> LaneView:
    control = MODES[mode].control(name)
    assert control is not None, "a track holds controls of its mode"
    return {"control": name, "label": control.label, "hint": control.hint, "lost": lost, "spans": spans}


def _held(track: ActionTrack) -> dict[str, list[Span]]:
    """When each control is held, in the order of the mode's controls."""
    mode, mice = MODES[track.mode], track.mouse
    rows = [mode.held(keys, None if mice is None else mice[i]) for i, keys in enumerate(track.keyboard)]
    found: dict[str, list[Span]] = {}
    for control in mode.controls:
        at = 0
        for on, run in groupby(control.name in row for row in rows):
            start, at = at, at + sum(1 for _ in run)
            if on:
                found.setdefault(control.name, []).append((start, at))
    return found
