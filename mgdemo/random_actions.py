"""The random actions of the reference program, the same ones for the same seed."""

from __future__ import annotations

import random
from functools import cache

import numpy as np

from mgdemo.actions import ActionTrack
from mgdemo.blocks import BLOCK_FRAMES


@cache
def choices(mode: str) -> list[tuple[str, ...]]:
    """What the reference draws from; order and multiplicity decide what a seed gives."""
    if mode == "templerun":
        return [(n,) for n in ("jump", "slide", "left", "right", "turn_left", "turn_right")] + [()]
    if mode == "gta_drive":
        turns, moves = [("steer_left",), ("steer_right",)], [("accelerate",), ("brake",)]
        return turns * 2 + moves * 2 + [move + turn for move in moves for turn in turns]
    looks = [("look_left",), ("look_right",)]
    moves = [("forward",), ("left",), ("right",)]
    diagonals = [("forward", "left"), ("forward", "right")]
    both = [move + look for move in moves + diagonals for look in looks]
    return diagonals * 5 + looks * 5 + moves * 5 + both


def random_choices(mode: str, frames: int, seed: int) -> np.ndarray:
    """Which of the `choices` each video frame has; see `random_actions`."""
    generator, last = random.Random(seed), len(choices(mode)) - 1
    draws, counts = [], []
    for start in (0, *range(1, frames, BLOCK_FRAMES)):
        generator.randint(0, 0)  # the reference also draws the length, from a list of one
        draws.append(generator.randint(0, last))
        counts.append(min(BLOCK_FRAMES, frames - start) if start else min(1, frames))
    return np.repeat(draws, counts)


def random_actions(mode: str, frames: int, seed: int) -> ActionTrack:
    """Actions of the reference's random benchmark: one draw for frame 0, then one for every 12 frames.

    (So its actions change at frames 1, 13, 25, …, not where blocks begin.) For one seed, more frames only
    extend them.
    """
    held = choices(mode)
    table = ActionTrack.concat([ActionTrack.hold(mode, names) for names in held])
    rows = random_choices(mode, frames, seed)
    return ActionTrack(mode, table.keyboard[rows], None if table.mouse is None else table.mouse[rows])
