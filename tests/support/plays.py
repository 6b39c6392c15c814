"""Worlds along a track, and how far the frames of two of them are apart."""

import numpy as np


def play(one, track):
    return [one.step(track.block(block)) for block in range(one.block, track.blocks)]


def worst(one, other):
    """The largest difference of two worlds' frames, in levels of 255."""
    return max(np.abs(a.astype(int) - b.astype(int)).max() for a, b in zip(one, other, strict=True))
