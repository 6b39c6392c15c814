"""A world without a model whose frames depend on all that was done before: restored wrongly, they differ."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import numpy as np

from benchmarks.stub_world import SMALL_HEIGHT, SMALL_WIDTH
from mgdemo.actions import MODES
from mgdemo.blocks import FPS, block_frames

GRAIN = 8  # pixels of a square of the picture
SECONDS = 0.02  # that a block takes
MEETING_SECONDS = 30.0  # for which one world waits for another


class Model:
    """A `mgdemo.interfaces.Model`. Its name is a mode, then perhaps milliseconds that a block takes, and
    "faulty": then block 3 fails like a device."""

    def __init__(self, name):
        self.name = name
        self.mode, *words = name.split("-")
        assert self.mode in MODES
        self.seconds = next((int(word) / 1000 for word in words if word.isdigit()), SECONDS)
        self.size, self.fps, self.pipelined = (SMALL_HEIGHT, SMALL_WIDTH), FPS, False
        self.before_block = lambda block: None
        self.notice = ""

    def start(self, image, seed=0):
        return World(self, hashlib.sha256(image.tobytes() + str(seed).encode()).digest())


class World:
    """A `mgdemo.interfaces.World`."""

    def __init__(self, model, state):
        self.model, self.state, self.block = model, state, 0
        self.before = None
        self.timings = {"dit": 0.0, "vae": 0.0}

    @property
    def frames_next(self):
        return block_frames(self.block)

    def step(self, actions):
        return np.concatenate(list(self.stream(actions)))

    def stream(self, actions):
        assert len(actions) == self.frames_next
        self.before = self.snapshot()
        self.model.before_block(self.block)
        mouse = b"" if actions.mouse is None else actions.mouse.tobytes()
        self.state = hashlib.sha256(self.state + actions.keyboard.tobytes() + mouse).digest()
        self.block += 1
        return self._make(self.state, len(actions))

    def _make(self, state, count):
        time.sleep(self.model.seconds)
        if "faulty" in self.model.name and self.block == 4:
            raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")
        frames = np.stack([self._picture(state, index) for index in range(count)])
        yield from np.split(frames, [len(frames) - 8])

    @staticmethod
    def _picture(state, index):
        random = np.random.default_rng([*state, index])
        grains = random.integers(0, 256, (SMALL_HEIGHT // GRAIN, SMALL_WIDTH // GRAIN, 3), np.uint8)
        return np.kron(grains, np.ones((GRAIN, GRAIN, 1), np.uint8))

    reach = 1

    @property
    def latents(self):
        return self.state

    def repeat(self, actions, latents, shown):
        assert len(actions) == self.frames_next
        self.before, self.state, self.block = None, latents, self.block + 1
        return np.concatenate(list(self._make(latents, len(actions)))) if shown else None

    @property
    def can_regenerate(self):
        return self.before is not None

    def regenerate(self, actions):
        self.restore(self.before)
        return self.step(actions)

    snapshot_bytes = 40

    def snapshot(self):
        return Snapshot(self.block, self.state)

    def restore(self, snapshot):
        self.block, self.state, self.before = snapshot.block, snapshot.state, None


class Snapshot:
    def __init__(self, block, state):
        self.block, self.state = block, state


def load(checkpoint, *, device, progress=None, optimization=""):
    return Model(checkpoint)


def load_beside_real_ones(checkpoint, *, device, progress=None, optimization=""):
    """As `load`, but embedded worlds are real."""
    if not checkpoint.endswith("-tiny"):
        return Model(checkpoint)
    from mgdemo.loading import load_world_model

    return load_world_model(checkpoint, device=device, progress=progress, optimization=optimization)


def load_on_dying_devices(checkpoint, *, device, progress=None, optimization=""):
    """As `load`; but cuda:1 answers with an error, cuda:2 ends the process, cuda:3 answers the first process
    with an error, cuda:4 never comes to an end, and cuda:5 finds no weights the first time."""
    if device == "cuda:1" or (device == "cuda:3" and _first(device)):
        raise RuntimeError(
            "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be"
        )
    if device == "cuda:2":
        os._exit(3)
    if device == "cuda:5" and _first(device):
        raise FileNotFoundError("no such file: weights")
    while device == "cuda:4":
        time.sleep(0.1)
        progress(0.5, "Reading on")
    return Model(checkpoint)


def load_meeting(checkpoint, *, device, progress=None, optimization=""):
    """As `load`; but a world's second block waits until another process makes one, too, with the folder of
    the test in TMPDIR."""
    model = Model(checkpoint)
    model.before_block = _meet
    return model


def _meet(block):
    if block != 1:
        return
    place = Path(os.environ["TMPDIR"])
    (place / f"met-{os.getpid()}").touch()
    end = time.monotonic() + MEETING_SECONDS
    while len(list(place.glob("met-*"))) < 2:
        if time.monotonic() > end:
            raise TimeoutError("No other process makes a block.")
        time.sleep(0.01)


def _first(device):
    """Whether this is the first process that asks, with the folder of the test in TMPDIR."""
    try:
        (Path(os.environ["TMPDIR"]) / device).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
