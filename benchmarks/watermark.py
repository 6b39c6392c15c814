"""Stub worlds whose every frame says whose it is: its session's seed and its own number, in black and white.

As MGDEMO_LOADER, `benchmarks.watermark:load` gives worlds of the embedded ones' size. Below the marks a frame
has the patches of `benchmarks.stub_world`, so that what is held can be seen, and a texture that moves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from PIL import Image

from benchmarks import stub_world
from mgdemo.actions import ActionTrack

HEIGHT, WIDTH = 144, 256
BITS, ROWS = 16, 3  # cells in a row: those of the seed, of the frame, and of a sum of both
STRIP = HEIGHT // 4  # pixels of all rows
MIXER = 40503  # odd, so that sums of different frames differ
DARK, LIGHT = 40, 215
QUICK = 0.005  # seconds
KEYS = (slice(48, 132), slice(24, 136))  # rows and columns of the patch that shows what is held
TICK = (slice(48, 132), slice(168, 232))  # and of the one whose level steps by one with every frame


@dataclass(frozen=True)
class Mark:
    """seed: modulo 65536. frame: its number on its branch, modulo 65536."""

    seed: int
    frame: int


class Model(stub_world.Model):
    """A stub whose worlds sign their frames."""

    def start(self, image: Image.Image, seed: int = 0) -> stub_world.World:
        return stub_world.World(replace(self, painter=partial(paint, seed)))


def load(checkpoint: str, *, device: str, progress=None, optimization: str = "") -> Model:
    """A loader; a block takes 20 ms unless the name says otherwise (see `stub_world`)."""
    plain = stub_world.load_small(checkpoint, device=device, progress=progress)
    return Model(plain.name, plain.mode, (HEIGHT, WIDTH), partial(paint, 0), plain.seconds, plain.trouble)


def load_quick(checkpoint: str, *, device: str, progress=None, optimization: str = "") -> Model:
    """As `load`, but a block takes 5 ms."""
    return replace(load(checkpoint, device=device, progress=progress), seconds=QUICK)


def paint(seed: int, actions: ActionTrack, row: int, index: int) -> np.ndarray:
    """Frame `index` of the session with this seed, under a row of actions."""
    left = stub_world.SPEED * index % stub_world.WIDTH
    frame = stub_world.texture()[:HEIGHT, left : left + WIDTH].copy()
    frame[KEYS] = stub_world.keys_level(actions, row)
    frame[TICK] = 32 + 24 * (index % stub_world.TICKS)
    cells = np.where(_bits(seed % 2**BITS, index % 2**BITS), LIGHT, DARK).astype(np.uint8)
    frame[:STRIP] = np.kron(cells, np.ones((STRIP // ROWS, WIDTH // BITS), np.uint8))[..., None]
    return frame


def read(luma: np.ndarray) -> Mark | None:
    """What the marks say in a picture of any brightness [H, W] and size; None if they are not whole."""
    height, width = luma.shape
    rows = ((2 * np.arange(ROWS) + 1) * height * STRIP // (2 * ROWS * HEIGHT)).astype(int)
    columns = ((2 * np.arange(BITS) + 1) * width // (2 * BITS)).astype(int)
    return read_cells(luma[np.ix_(rows, columns)])


def read_cells(levels: np.ndarray) -> Mark | None:
    """The same from the level of each cell, [ROWS, BITS]."""
    bits = levels.astype(int) > (DARK + LIGHT) // 2
    seed, frame, total = (int(row @ (1 << np.arange(BITS))) for row in bits)
    return Mark(seed, frame) if total == _sum(seed, frame) else None


def _bits(seed: int, frame: int) -> np.ndarray:
    """Rows of bits, the lowest first."""
    numbers = np.array([seed, frame, _sum(seed, frame)])
    return numbers[:, None] >> np.arange(BITS) & 1


def _sum(seed: int, frame: int) -> int:
    """Says that seed and frame belong together; never all zeros for a black picture."""
    return (seed * MIXER + frame * 3 + 0xA5A5) % 2**BITS
