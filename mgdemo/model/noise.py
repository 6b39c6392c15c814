"""The noise of a session: a pure function of seed, block and step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from mgdemo.model.device_io import to_device_async

Noise = Callable[[int, int], Tensor]  # of block and step, on the host


def seeded_noise(seed: int, shape: tuple[int, ...]) -> Noise:
    """Gaussian noise of `shape`, [1, 16, F, h, w], as a pure function of (seed, block, step).

    A counter-based generator (Philox) draws it on the host: whatever the device, and whatever else the server
    does, the same session gets the same noise. Step 0 is the noise a block begins with, step s the one that
    is mixed in after denoising step s - 1.
    """

    def draw(block: int, step: int) -> Tensor:
        key = np.array([seed % 2**64, block << 8 | step], dtype=np.uint64)
        generator = np.random.Generator(np.random.Philox(key=key))
        return torch.from_numpy(generator.standard_normal(shape, dtype=np.float32))

    return draw


class BlockNoise:
    """The noise [S, 1, 16, F, h, w] of a block's S steps, on the device: one copy for all steps."""

    def __init__(self, draw: Noise, steps: int, device: torch.device):
        self.draw, self.steps, self.device = draw, steps, device
        self._ahead: tuple[int, Tensor] | None = None

    def __call__(self, block: int) -> Tensor:
        ahead, self._ahead = self._ahead, None
        return ahead[1] if ahead and ahead[0] == block else self._block(block)

    def draw_ahead(self, block: int) -> None:
        """Draw a block's noise before it is asked for, if the host has nothing else to do: beside a GPU."""
        if self.device.type == "cuda":
            self._ahead = block, self._block(block)

    def _block(self, block: int) -> Tensor:
        steps = torch.stack([self.draw(block, step) for step in range(self.steps)])
        return to_device_async(steps, self.device)
