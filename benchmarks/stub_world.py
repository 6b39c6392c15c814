"""A world without a model, for testing and measuring all that is around one: it paints what is held.

A checkpoint's name says what it does: a mode, then perhaps milliseconds that a block takes ("slow": 600) and
one of `TROUBLES`, as in "universal-120" or "templerun-broken". `load` gives pictures of the published size
with a texture that moves, so that the encoder has work to do; `load_small` gives plain ones for tests.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import FPS, block_frames, frames_in_blocks

HEIGHT, WIDTH = 352, 640
SPEED = 2  # pixels a frame
KEYS = (slice(80, 272), slice(64, 384))  # rows and columns of the patch that shows what is held
TICK = (slice(80, 272), slice(448, 576))  # and of the one whose level steps by one with every frame
TICKS = 8

SMALL_HEIGHT, SMALL_WIDTH = 48, 64
TROUBLES = ("crash", "hang", "broken", "black", "blank")  # what happens in block 3; "blank": in all blocks
TROUBLE_BLOCK = 3
OLD_DRIVER = "This world runs on the CPU. The driver is too old: update it."  # the notice of "driver"

Painter = Callable[[ActionTrack, int, int], np.ndarray]  # from actions, their row, and the frame's index


def load(checkpoint: str, *, device: str, progress=None, optimization: str = "") -> Model:
    """A loader like `mgdemo.loading.load_world_model`; "missing" cannot be loaded."""
    return _load(checkpoint, progress, (HEIGHT, WIDTH), paint)


def load_small(checkpoint: str, *, device: str, progress=None, optimization: str = "") -> Model:
    """As `load`, with small pictures; a block takes 20 ms unless the name says otherwise."""
    return _load(checkpoint, progress, (SMALL_HEIGHT, SMALL_WIDTH), paint_small)


def _load(checkpoint: str, progress, size: tuple[int, int], painter: Painter) -> Model:
    if progress:
        progress(0.5, f"Reading {checkpoint}")
    if checkpoint == "missing":
        raise FileNotFoundError("no such file: missing.safetensors")
    name = Path(checkpoint).parent.name or checkpoint  # of a weight file, that of its folder
    mode, *words = name.split("-")
    assert mode in MODES
    ms = next((int(word) for word in words if word.isdigit()), 600 if "slow" in words else 20)
    trouble = next((word for word in words if word in TROUBLES), "")
    if progress:
        progress(1.0, "Ready")
    return Model(checkpoint, mode, size, painter, ms / 1000, trouble, OLD_DRIVER if "driver" in words else "")


@dataclass
class Model:
    """A `mgdemo.interfaces.Model`."""

    name: str
    mode: str
    size: tuple[int, int]  # height and width
    painter: Painter
    seconds: float = 0.0  # that a block takes
    trouble: str = ""
    notice: str = ""
    fps: int = FPS
    pipelined: bool = False

    def start(self, image: Image.Image, seed: int = 0) -> World:
        return World(self)


@dataclass(frozen=True)
class Snapshot:
    block: int


class World:
    """A `mgdemo.interfaces.World`: its state is the number of its blocks."""

    def __init__(self, model: Model):
        self.model, self.block = model, 0
        self.timings: dict[str, float] = {}

    @property
    def frames_next(self) -> int:
        return block_frames(self.block)

    def step(self, actions: ActionTrack) -> np.ndarray:
        return np.concatenate(list(self.stream(actions)))

    def stream(self, actions: ActionTrack) -> Iterator[np.ndarray]:
        if len(actions) != self.frames_next:
            raise ValueError(f"Block {self.block} takes {self.frames_next} rows, not {len(actions)}.")
        block, self.block = self.block, self.block + 1
        return self._make(block, actions)

    def _make(self, block: int, actions: ActionTrack) -> Iterator[np.ndarray]:
        """The block's frames in two pieces: those of the first latent frame, then the others."""
        begin, trouble = time.perf_counter(), self.model.trouble if block == TROUBLE_BLOCK else ""
        if trouble == "hang":
            time.sleep(3600)
        if trouble == "crash":
            os._exit(7)
        if trouble == "broken":
            raise RuntimeError("the matrix is singular.\nlong traceback")
        first = frames_in_blocks(block)
        frames = np.stack([self.model.painter(actions, row, first + row) for row in range(len(actions))])
        if self.model.trouble == "blank" or (self.model.trouble == "black" and block >= TROUBLE_BLOCK):
            frames[:] = 0
        time.sleep(max(0.0, self.model.seconds - (time.perf_counter() - begin)))
        self.timings = {"dit": 1e3 * (time.perf_counter() - begin), "vae": 0.0}
        yield from np.split(frames, [len(frames) - 8])

    latents, reach = b"", 0  # nothing is quicker than to make it again

    def repeat(self, actions: ActionTrack, latents: bytes, shown: bool) -> np.ndarray | None:
        return self.step(actions)

    @property
    def can_regenerate(self) -> bool:
        return self.block > 0

    def regenerate(self, actions: ActionTrack) -> np.ndarray:
        self.block -= 1
        return self.step(actions)

    @property
    def snapshot_bytes(self) -> int:
        return 10**6 if self.block else 0

    def snapshot(self) -> Snapshot:
        return Snapshot(self.block)

    def restore(self, snapshot: Snapshot) -> None:
        self.block = snapshot.block


def paint(actions: ActionTrack, row: int, index: int) -> np.ndarray:
    """A frame of the published size."""
    left = SPEED * index % WIDTH
    frame = texture()[:, left : left + WIDTH].copy()
    frame[KEYS] = keys_level(actions, row)
    frame[TICK] = 32 + 24 * (index % TICKS)
    return frame


def keys_level(actions: ActionTrack, row: int) -> int:
    """The patch's gray level: 40 when no key is held, else 40 more for each place of the first one."""
    held = np.flatnonzero(actions.keyboard[row])
    return 40 + 40 * int(held[0] + 1) if len(held) else 40


@cache
def texture() -> np.ndarray:
    """Smooth noise of several sizes, twice as wide as the picture and going round."""
    random, out = np.random.default_rng(0), np.zeros((HEIGHT, WIDTH, 3))
    for grain in (4, 16, 64):
        coarse = random.integers(0, 256, (HEIGHT // grain, WIDTH // grain, 3), np.uint8)
        out += np.asarray(Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)) / 3
    return np.tile(out.astype(np.uint8), (1, 2, 1))


def paint_small(actions: ActionTrack, row: int, index: int) -> np.ndarray:
    """A small frame: the left half shows the keyboard, the right half the yaw; a stripe moves above them."""
    frame = np.full((SMALL_HEIGHT, SMALL_WIDTH, 3), small_level(actions, row), np.uint8)
    if actions.mouse is not None:
        frame[:, SMALL_WIDTH // 2 :] = 128 + round(120 * float(actions.mouse[row, 1]))
    frame[:4, index % SMALL_WIDTH] = 255
    return frame


def small_level(actions: ActionTrack, row: int) -> int:
    """The gray level of a small frame's left half: the first four keys as bits."""
    return 60 + 10 * int(sum(2**key for key, value in enumerate(actions.keyboard[row, :4]) if value))
