"""The random actions of the reference program, the same ones for the same seed."""

from __future__ import annotations

import random
from functools import cache

import numpy as np

from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import BLOCK_FRAMES


def _choices(mode: str) -> list[tuple[str, ...]]:
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


@cache
def _table(mode: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The actions of all choices."""
    rows = [MODES[mode].frame(held) for held in _choices(mode)]
    keyboards = np.stack([keyboard for keyboard, _ in rows])
    mice = [mouse for _, mouse in rows if mouse is not None]
    return keyboards, np.stack(mice) if mice else None


def random_actions(mode: str, frames: int, seed: int) -> ActionTrack:
    """Actions of the reference's random benchmark: one draw for frame 0, then one for every 12 frames.

    (So its actions change at frames 1, 13, 25, …, not where blocks begin.) For one seed, more frames only
    extend them.
    """
    keyboards, mice = _table(mode)
    generator = random.Random(seed)
    draws, counts = [], []
    for start in (0, *range(1, frames, BLOCK_FRAMES)):
        generator.randint(0, 0)  # the reference also draws the length, from a list of one
        draws.append(generator.randint(0, len(keyboards) - 1))
        counts.append(min(BLOCK_FRAMES, frames - start) if start else min(1, frames))
    rows = np.repeat(draws, counts)
    return ActionTrack(mode, keyboards[rows], None if mice is None else mice[rows])
