"""The pieces of a run that are scored by themselves, since a mean hides a collapse in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mgdemo.blocks import FPS

LENGTH = 2 * FPS  # frames, where a scenario has no marks


def segments(frames: int, marks: Sequence[int] = ()) -> list[tuple[int, int]]:
    """Pieces of so many frames, as (first, first of the next): between marks, else of 2 s."""
    inner = sorted({mark for mark in marks if 0 < mark < frames}) if marks else range(LENGTH, frames, LENGTH)
    edges = [0, *inner, frames]
    return [(start, end) for start, end in pairwise(edges) if start < end]
