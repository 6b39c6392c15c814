"""The same actions in another mode: by what they mean, or by their keys.

What has no counterpart is left out; a comparison counts it and shows where it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import BLOCK_FRAMES

By = Literal["meaning", "key"]

# What controls mean. "": the mode does it by itself, nothing has to be held.
MEANINGS: dict[str, dict[str, str]] = {
    "go on": {"universal": "forward", "gta_drive": "accelerate", "templerun": ""},
    "go back": {"universal": "back", "gta_drive": "brake"},
    "turn left": {"universal": "look_left", "gta_drive": "steer_left", "templerun": "turn_left"},
    "turn right": {"universal": "look_right", "gta_drive": "steer_right", "templerun": "turn_right"},
    "step left": {"universal": "left", "templerun": "left"},
    "step right": {"universal": "right", "templerun": "right"},
    "look up": {"universal": "look_up"},
    "look down": {"universal": "look_down"},
    "jump": {"templerun": "jump"},
    "slide": {"templerun": "slide"},
}
# A runner's turn is a quarter circle and takes one block, however long its key is held: a longer turn
# elsewhere is one corner here.
ONCE = {("templerun", "turn_left"), ("templerun", "turn_right")}


@dataclass(frozen=True)
class Lost:
    """A control of the original that has no counterpart, held in frames `start` to `end` (not included)."""

    control: str
    start: int
    end: int


@dataclass(frozen=True)
class Translation:
    track: ActionTrack
    lost: tuple[Lost, ...] = ()

    @property
    def lost_frames(self) -> int:
        """Frames in which something is lost."""
        return len({frame for lost in self.lost for frame in range(lost.start, lost.end)})


def translate(track: ActionTrack, mode: str, by: By = "meaning") -> Translation:
    """The actions of a track in `mode`, one of `mgdemo.actions.MODES`, frame by frame."""
    if track.mode == mode:
        return Translation(track)
    counterparts = by_meaning(track.mode, mode) if by == "meaning" else by_key(track.mode, mode)
    source, target = MODES[track.mode], MODES[mode]
    held: list[list[str]] = []
    lost: dict[str, list[int]] = {}
    camera = np.zeros((len(track), 2), np.float32)
    for frame in range(len(track)):
        mouse = None if track.mouse is None else track.mouse[frame]
        found: list[str] = []
        for name in source.held(track.keyboard[frame], mouse):
            mine, other = source.control(name), target.control(counterparts.get(name, "?"))
            if counterparts.get(name) == "":
                continue  # it happens by itself
            if mine is None or other is None or (target.one_hot and found):
                lost.setdefault(name, []).append(frame)
            elif (
                mine.mouse and other.mouse and mouse is not None
            ):  # as far as it is turned, not only which way
                share = np.dot(mouse, mine.mouse) / np.dot(mine.mouse, mine.mouse)
                camera[frame] += np.float32(share) * np.asarray(other.mouse, np.float32)
            else:
                found.append(other.name)
        held.append(found)
    _once(mode, held)
    frames = [target.frame(names, camera[i] if target.has_mouse else None) for i, names in enumerate(held)]
    keyboard = np.stack([keys for keys, _ in frames])
    mouse = np.stack([move for _, move in frames if move is not None]) if target.has_mouse else None
    runs = [Lost(name, start, end) for name, at in lost.items() for start, end in _stretches(at)]
    return Translation(ActionTrack(mode, keyboard, mouse), tuple(sorted(runs, key=lambda run: run.start)))


def by_meaning(source: str, target: str) -> dict[str, str]:
    """What to hold in mode `target` for each control of mode `source` that has a counterpart there."""
    return {
        names[source]: names[target] for names in MEANINGS.values() if source in names and target in names
    }


def by_key(source: str, target: str) -> dict[str, str]:
    """What the same keys do in mode `target`."""
    return {
        control.name: other.name
        for control in MODES[source].controls
        if (other := MODES[target].control(control.code))
    }


def _once(mode: str, held: list[list[str]]) -> None:
    """Shorten what happens once however long it is held to a block."""
    for control in [name for of, name in ONCE if of == mode]:
        at = [frame for frame, names in enumerate(held) if control in names]
        for start, end in _stretches(at):
            for frame in range(min(end, start + BLOCK_FRAMES), end):
                held[frame].remove(control)


def _stretches(frames: list[int]) -> list[tuple[int, int]]:
    """Runs of successive numbers, as (first, last + 1)."""
    found = []
    for _, run in groupby(enumerate(frames), lambda item: item[1] - item[0]):
        numbers = [frame for _, frame in run]
        found.append((numbers[0], numbers[-1] + 1))
    return found
