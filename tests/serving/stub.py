"""A world without a model, loaded by real workers: it paints what it is told to do.

Frames are a grey field with a moving stripe; the left part's level shows the keyboard (bits of the first four
entries), the right part's the yaw. The checkpoint's name sets what goes wrong and how long a block takes:
"universal", "universal-slow" (a block takes 0.6 s), "universal-crash" (dies in block 3), "universal-hang"
(block 3 takes an hour), "universal-broken" (raises in block 3), "missing" (cannot be loaded), "templerun".
"""

import os
import time
from types import SimpleNamespace

import numpy as np

from mgdemo.actions import MODES
from mgdemo.blocks import block_frames

HEIGHT, WIDTH, FPS = 48, 64, 25


def load(checkpoint, *, device, progress, optimization=""):
    progress(0.5, f"Reading {checkpoint}")
    if checkpoint == "missing":
        raise FileNotFoundError("no such file: missing.safetensors")
    progress(1.0, "Ready")
    return Model(checkpoint)


class Model:
    fps, size, pipelined = FPS, (HEIGHT, WIDTH), False

    def __init__(self, checkpoint):
        self.name, self.mode = checkpoint, checkpoint.partition("-")[0]
        self.config = SimpleNamespace(mode=self.mode)
        assert self.mode in MODES
        self.trouble = checkpoint.partition("-")[2]

    def start(self, image, seed=0):
        assert image.mode == "RGB"
        return World(self)


class World:
    def __init__(self, model):
        self.model, self.block, self.timings = model, 0, {}

    @property
    def frames_next(self):
        return block_frames(self.block)

    def step(self, actions):
        return np.concatenate(list(self.stream(actions)))

    def stream(self, actions):
        assert len(actions) == self.frames_next
        time.sleep({"slow": 0.6}.get(self.model.trouble, 0.02))
        if self.block == 3 and self.model.trouble == "hang":
            time.sleep(3600)
        if self.block == 3 and self.model.trouble == "crash":
            os._exit(7)
        if self.block == 3 and self.model.trouble == "broken":
            raise RuntimeError("the matrix is singular.\nlong traceback")
        frames = np.stack(
            [paint(actions, i, i + (12 * self.block - 3 if self.block else 0)) for i in range(len(actions))]
        )
        self.block += 1
        self.timings = {"dit": 15.0, "vae": 5.0}
        yield from np.split(frames, [len(frames) - 8])

    @property
    def can_regenerate(self):
        return self.block > 0

    def regenerate(self, actions):
        self.block -= 1
        return self.step(actions)

    @property
    def snapshot_bytes(self):
        return 10**6 if self.block else 0

    def snapshot(self):
        return SimpleNamespace(block=self.block)

    def restore(self, snapshot):
        self.block = snapshot.block


def level(actions, row):
    """The grey level of the left part under one row of actions."""
    return 60 + 10 * int(sum(2**k for k, value in enumerate(actions.keyboard[row, :4]) if value))


def paint(actions, row, index):
    frame = np.full((HEIGHT, WIDTH, 3), level(actions, row), np.uint8)
    if actions.mouse is not None:
        frame[:, WIDTH // 2 :] = 128 + round(120 * float(actions.mouse[row, 1]))
    frame[:4, index % WIDTH] = 255
    return frame
