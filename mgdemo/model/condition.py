"""The start condition: what the transformer is given of the start image."""

from __future__ import annotations

import torch
from torch import Tensor

from mgdemo.blocks import LATENTS_PER_BLOCK
from mgdemo.model.vae import VAE, State

SPREAD = 3  # blocks after the first over which the start condition is encoded


class Condition:
    """Latents of the start image followed by endless gray frames, encoded only as far as needed.

    The encoder looks back a bounded number of frames: once that span holds nothing but gray, its output
    stays the same, so the last latent stands for all later ones. The work until then is spread over blocks
    1 to 3: the first picture comes at once, and from block 4 on every block costs the same.
    """

    def __init__(self, vae: VAE, image: Tensor):
        """image: [1, 3, 1, H, W] in [-1, 1]."""
        self.vae = vae
        self.image = image
        self.steady = vae.look_back // vae.config.temporal_factor + 1
        self.state = State()
        self.latents = vae.encode(image, self.state)
        self._last: Tensor | None = None  # the condition of all blocks after the steady latent

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the latents."""
        return self.latents.shape[3], self.latents.shape[4]

    def complete(self) -> None:
        """Encode now what is left to encode."""
        self.block(self.steady)

    def block(self, start: int, frames: int = LATENTS_PER_BLOCK) -> Tensor:
        """Condition [1, 20, frames, h, w] of latent frames from `start`: mask (1 = given), then latents."""
        if self._last is not None and start >= self.steady and frames == self._last.shape[2]:
            return self._last
        end = self.steady + 1
        stride = max(frames, -(-(end - frames) // SPREAD))
        needed = min(frames + stride * (start // frames), end)
        size = (*self.image.shape[:2], self.vae.config.temporal_factor, *self.image.shape[3:])
        while self.latents.shape[2] < needed:
            # One by one: it takes the least memory, and is exact whatever a restored world asks for first.
            gray = self.vae.encode(self.image.new_zeros(size), self.state)
            self.latents = torch.cat((self.latents, gray), dim=2)
        if self.latents.shape[2] == end:
            self.state.clear()  # nothing is left to encode
        steady = [self.latents[:, :, self.steady :]] * min(frames, max(0, start + frames - end))
        latents = torch.cat((self.latents[:, :, min(start, end) : min(start + frames, end)], *steady), dim=2)
        mask = torch.zeros_like(latents[:, :4])
        if start == 0:
            mask[:, :, 0] = 1
        condition = torch.cat((mask, latents), dim=1)
        if start >= self.steady:
            self._last = condition
        return condition
