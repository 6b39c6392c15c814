"""Writing scenarios: what was done in a session, in as few steps as it takes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
import yaml

from mgdemo.actions import MODES, ActionTrack, Mode, same_values
from mgdemo.blocks import BLOCK_FRAMES, FIRST_BLOCK_FRAMES, FPS
from mgdemo.scenario.grammar import MAX_LENGTH
from mgdemo.scenario.model import OWN_PICTURE, Mark, Scenario
from mgdemo.scenario.words import printable

ABOUT_OWN_PICTURE = (
    f"# This began with a picture that is not in this file: put it beside it as {OWN_PICTURE}.\n"
)


def bare_yaml(scenario: Scenario) -> str:
    """A scenario that was read, in as few steps as it takes; see `scenario_yaml`."""
    return scenario_yaml(
        scenario.track,
        title=scenario.title,
        description=scenario.description,
        image=scenario.image,
        seed=scenario.seed,
        marks=scenario.marks,
    )


def scenario_yaml(
    track: ActionTrack,
    *,
    title: str,
    description: str = "",
    image: str | None = None,
    seed: int | None = None,
    marks: Sequence[Mark] = (),
) -> str:
    """The scenario of a session, a step for each stretch of one action, with `marks` in between; read again,
    it is `track` and `marks` exactly. Marks beyond the end are left out.

    Texts are shortened to what a scenario may have, so a recording never fails on them. Raises ValueError for
    an empty track, and for values that no controls and camera can make.
    """
    if not len(track):
        raise ValueError("A track without frames makes no scenario.")
    head = {
        "title": printable(title)[: MAX_LENGTH["title"]] or "Untitled",
        "description": printable(description)[: MAX_LENGTH["description"]],
        "mode": track.mode,
        "image": image,
        "seed": seed,
    }
    about = ABOUT_OWN_PICTURE if image == OWN_PICTURE else ""
    lines = ["actions:"]
    last = len(track) - 1  # a mark there is written at the end
    at = {mark: mark.frame if mark.frame < last else len(track) for mark in marks if mark.frame <= last}
    for start, stop in _split(track.runs(), at.values()):
        lines += [_mark(mark) for mark in at if at[mark] == start]
        mouse = None if track.mouse is None else track.mouse[start]
        action = _action(MODES[track.mode], track.keyboard[start], mouse)
        lines.append(f"  - {{{action}for: {_time(start, stop)}}}")
    lines += [_mark(mark) for mark in at if at[mark] == len(track)]
    head = {key: value for key, value in head.items() if value not in (None, "")}
    words = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=math.inf)
    return about + words + "\n".join(lines) + "\n"


def _split(runs: Sequence[tuple[int, int]], frames: Iterable[int]) -> list[tuple[int, int]]:
    """The runs, cut at frames, too."""
    edges = sorted({0, *(stop for _, stop in runs), *frames})
    return list(pairwise(edges))


def _mark(mark: Mark) -> str:
    fields = {"mark": mark.name} | ({"returns_to": mark.returns_to} if mark.returns_to else {})
    flow = len(fields) > 1
    text = yaml.safe_dump(
        fields, default_flow_style=flow, allow_unicode=True, width=math.inf, sort_keys=False
    )
    return f"  - {text.strip()}"


def _action(mode: Mode, keyboard: np.ndarray, mouse: np.ndarray | None) -> str:
    held = [control for name in mode.held(keyboard, mouse) if (control := mode.control(name))]
    camera = None
    if not same_values(mode.frame([c.name for c in held])[1], mouse):
        held = [control for control in held if control.mouse is None]
        camera = mouse
    made = mode.frame([control.name for control in held], camera)
    if not (same_values(made[0], keyboard) and same_values(made[1], mouse)):
        raise ValueError(f"No controls of mode {mode.name} make the values {keyboard} {mouse}.")
    text = f"hold: [{', '.join(control.label for control in held)}], " if held else ""
    if camera is not None:
        axes = {"pitch": camera[0], "yaw": camera[1]}
        # the shortest decimals that are read back as the same float32
        values = [f"{k}: {np.format_float_positional(v, trim='-')}" for k, v in axes.items() if v]
        text += f"camera: {{{', '.join(values)}}}, "
    return text


def _time(start: int, stop: int) -> str:
    frames = stop - start
    if frames % FPS == 0:
        return f"{frames // FPS}s"
    blocks, rest = divmod(frames if start else frames + BLOCK_FRAMES - FIRST_BLOCK_FRAMES, BLOCK_FRAMES)
    if rest == 0:
        return f"{blocks} block{'s' * (blocks > 1)}"
    return f"{frames} frame{'s' * (frames > 1)}"
