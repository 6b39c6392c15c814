"""Clips from the renderer: frames with the actions that made them."""

from __future__ import annotations

import time
from typing import NamedTuple

import torch
from torch import Tensor

from training.motion import integrate, sample_actions, sample_start, sample_worlds
from training.renderer import render, render_frames


class Clips(NamedTuple):
    """frames uint8 [n, T, 3, H, W]; keyboard [n, T, K]; mouse [n, T, 2]; row f moves frame f to f + 1."""

    frames: Tensor
    keyboard: Tensor
    mouse: Tensor


def to_float(frames: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return frames.float() / 127.5 - 1


class Source:
    """Draws random sessions of one mode at one size on one device."""

    def __init__(
        self, device: str, height: int, width: int, mode: str = "universal", *, compiled: bool = False
    ):
        """`compiled`: draw many times faster, after a minute of compiling."""
        self.device, self.height, self.width, self.mode = device, height, width, mode
        draw = render_frames
        if compiled:  # without an analysis that fails on so large a kernel in torch 2.11
            from torch._inductor import config

            config.triton.coalesce_tiling_analysis = False
        self.draw = torch.compile(draw, dynamic=False) if compiled else draw
        self.chunk = 1 if device == "cpu" else 64

    def clips(self, count: int, frames: int, *, seed: int, held_out: bool = False) -> Clips:
        """`count` clips of `frames` video frames; the seed and the count fix them."""
        begin = time.perf_counter()
        generator = torch.Generator().manual_seed(seed)
        world = sample_worlds(count, generator, mode=self.mode, held_out=held_out).to(self.device)
        keyboard, mouse = sample_actions(count, frames, generator, self.mode)
        keyboard, mouse = keyboard.to(self.device), mouse.to(self.device)
        poses = integrate(world, sample_start(world, generator), keyboard, mouse)
        drawn = render(world, poses, self.height, self.width, chunk=self.chunk, frames=self.draw)
        rate = count * frames / (time.perf_counter() - begin)
        print(f"{self.mode}: drew {count} clips of {frames} frames, {rate:.0f} frames/s", flush=True)
        return Clips(drawn, keyboard, mouse)
