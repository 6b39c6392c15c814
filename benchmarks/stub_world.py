"""A world without a model, for measuring all that is around one: it paints what it is told to do.

The checkpoint's name says the mode and how long a block takes: "universal-120" is 120 ms. The picture is of
the published size: a texture that moves by 2 pixels a frame, so that the encoder has work to do, and two
patches. The large one's level shows what is held, the small one's steps by one with every frame.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.blocks import FPS, block_frames, frames_in_blocks

HEIGHT, WIDTH = 352, 640
SPEED = 2  # pixels a frame
KEYS = (slice(80, 272), slice(64, 384))  # rows and columns of the large patch
TICK = (slice(80, 272), slice(448, 576))
TICKS = 8


def load(checkpoint: str, *, device: str, progress, optimization: str = "") -> Model:
    """A loader like `mgdemo.world.load_world_model`."""
    mode, _, ms = checkpoint.partition("-")
    progress(1.0, "Ready")
    return Model(mode, int(ms) / 1000)


@dataclass
class Model:
    mode: str
    seconds: float  # a block

    fps, size, pipelined = FPS, (HEIGHT, WIDTH), False

    @property
    def name(self) -> str:
        return f"{self.mode}-{round(1000 * self.seconds)}"

    @cached_property
    def texture(self) -> np.ndarray:
        """Smooth noise of several sizes, twice as wide as the picture and going round."""
        random, out = np.random.default_rng(0), np.zeros((HEIGHT, WIDTH, 3))
        for grain in (4, 16, 64):
            coarse = random.integers(0, 256, (HEIGHT // grain, WIDTH // grain, 3), np.uint8)
            out += np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) / 3
        return np.tile(out.astype(np.uint8), (1, 2, 1))

    def start(self, image: Image.Image, seed: int = 0) -> World:
        return World(self)


class World:
    """One play, with the methods that a worker uses of `mgdemo.world.World`."""

    def __init__(self, model: Model):
        self.model, self.block, self.timings = model, 0, {}

    @property
    def frames_next(self) -> int:
        return block_frames(self.block)

    def step(self, actions: ActionTrack) -> np.ndarray:
        begin = time.perf_counter()
        first = frames_in_blocks(self.block)
        frames = np.stack([self._paint(actions, row, first + row) for row in range(self.frames_next)])
        self.block += 1
        painted = time.perf_counter() - begin
        time.sleep(max(0.0, self.model.seconds - painted))
        self.timings = {"dit": 1e3 * (time.perf_counter() - begin), "vae": 0.0}
        return frames

    def stream(self, actions: ActionTrack) -> Iterator[np.ndarray]:
        yield self.step(actions)

    @property
    def can_regenerate(self) -> bool:
        return self.block > 0

    def regenerate(self, actions: ActionTrack) -> np.ndarray:
        self.block -= 1
        return self.step(actions)

    snapshot_bytes = 0

    def snapshot(self) -> int:
        return self.block

    def restore(self, snapshot: int) -> None:
        self.block = snapshot

    def _paint(self, actions: ActionTrack, row: int, index: int) -> np.ndarray:
        left = SPEED * index % WIDTH
        frame = self.model.texture[:, left : left + WIDTH].copy()
        frame[KEYS] = keys_level(actions, row)
        frame[TICK] = 32 + 24 * (index % TICKS)
        return frame


def keys_level(actions: ActionTrack, row: int) -> int:
    """The large patch's grey level: 40 when no key is held, else 40 more for each place of the first one."""
    held = np.flatnonzero(actions.keyboard[row])
    return 40 + 40 * int(held[0] + 1) if len(held) else 40
