"""Plays to be timed, and the ways in which they take turns."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import pairwise

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mgdemo.actions import ActionTrack
from mgdemo.blocks import block_frames, frames_in_blocks
from mgdemo.model.action import Actions
from mgdemo.random_actions import random_actions
from mgdemo.world import WorldModel

STEADY = 6  # blocks after which caches are full and the start condition is encoded
WALK = 256  # blocks until the actions repeat
FRAMES = block_frames(1)
MARGIN = 0.015  # seconds by which the server means a block to be early


@cache
def walk(mode: str) -> ActionTrack:
    return random_actions(mode, frames_in_blocks(WALK), seed=1)


class Play:
    """A world from a picture of random colors, and its walk."""

    def __init__(self, model: WorldModel, seed: int = 0):
        colors = np.random.default_rng(seed).integers(0, 256, (6, 10, 3), dtype=np.uint8)
        picture = Image.fromarray(colors).resize(model.size[::-1], Image.Resampling.BICUBIC)
        self.world = model.start(picture, seed)
        self.first = 0.0  # ms of the last block, until its first frames were on the host

    @property
    def actions(self) -> ActionTrack:
        block = self.world.block
        return walk(self.world.model.mode).block(block and 1 + block % (WALK - 1))

    def begin(self) -> Iterator[np.ndarray]:
        """Begin a block, whose frames come as they are taken."""
        return self.world.stream(self.actions)

    def step(self) -> float:
        """Make a block; milliseconds until all its frames are on the host."""
        begin = time.perf_counter()
        frames = self.begin()
        next(frames)
        self.first = 1e3 * (time.perf_counter() - begin)
        exhaust(frames)
        return 1e3 * (time.perf_counter() - begin)

    def latents(self) -> Tensor:
        """Make a block's latents [1, 16, F, h, w], which `video` decodes."""
        return self.world.step_latents(Actions.from_track(self.actions))

    def video(self, latents: Tensor) -> Tensor:
        """[1, 3, T, H, W], decoded in pieces as in play."""
        pieces = latents.split((1, latents.shape[2] - 1), dim=2)
        return torch.cat([self.world.frames.video(part).float() for part in pieces], dim=2)

    def steady(self) -> Play:
        """Itself, when every block costs the same."""
        while self.world.block < STEADY:
            self.step()
        return self


def exhaust(frames: Iterable[np.ndarray]) -> None:
    for _ in frames:
        pass


def rolling(plays: Sequence[Play], blocks: int) -> list[float]:
    """Milliseconds from block to block, of plays that take turns. Each block begins before the frames of the
    one before it are taken."""
    ends, under_way = [], plays[-1].begin()
    for i in range(blocks + 1):
        following = plays[i % len(plays)].begin()
        exhaust(under_way)
        ends.append(time.perf_counter())
        under_way = following
    exhaust(under_way)
    return [1e3 * (end - begin) for begin, end in pairwise(ends)]


def paced(
    begin: Callable[[int], Iterable[np.ndarray]],
    phases: Sequence[float],
    rounds: int,
    alone: float,
    cost: float,
    period: float,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
) -> list[float]:
    """Seconds by which blocks of several worlds are late, in the order of making.

    World i is due a block every `period`, at phases[i] (0 to 1) of it. Like the server's worker, the one that
    is due first comes first, and begins as late as all can be in time if a block takes `alone` seconds and
    each one behind another takes `cost`; if it is time for one, it begins before the last one's frames are
    taken.
    """
    first = clock() + alone + len(phases) * cost + MARGIN
    due, late = [first + phase * period for phase in phases], []
    blocks, under_way = rounds * len(phases), deque()
    while len(late) < blocks:
        start = math.inf
        for moment in sorted(due, reverse=True):
            start = min(moment - MARGIN - alone, start - cost)
        if len(under_way) < min(2, blocks - len(late)) and start <= clock():
            world = due.index(min(due))
            under_way.append((due[world], begin(world)))
            due[world] += period
        elif under_way:
            moment, frames = under_way.popleft()
            exhaust(frames)
            late.append(max(0.0, clock() - moment))
        else:
            sleep(max(0.0, start - clock()))  # it may have come meanwhile
    return late


def p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def rate(times: Sequence[float]) -> float:
    """Frames a second of blocks of so many ms."""
    return 1e3 * FRAMES * len(times) / sum(times)
