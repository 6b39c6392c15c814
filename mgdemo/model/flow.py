"""Few-step flow matching: shifted noise levels, x0 prediction and re-noising (`scheduler.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mgdemo.config import SamplingConfig

TABLE = 1000


def sigma_table(shift: float) -> Tensor:
    """Noise levels [1000], from 1 downwards: s u / (1 + (s - 1) u) for u = 1, 0.999 ... 0.001."""
    u = torch.linspace(1.0, 0.0, TABLE + 1)[:-1]
    return shift * u / (1 + (shift - 1) * u)


@dataclass
class Schedule:
    """A sampling schedule: `timesteps` [S] and `sigmas` [S], noisiest first.

    `noise_scale` above 1 makes up for the detail that a small model loses from step to step.
    """

    sigmas: Tensor
    timesteps: Tensor
    noise_scale: float = 1.0

    @classmethod
    def from_config(cls, config: SamplingConfig) -> Schedule:
        """Denoising step d is entry 1000 - d of the table: 1000 is pure noise."""
        index = [TABLE - step for step in config.denoising_steps]
        sigmas = sigma_table(config.timestep_shift)[index]
        return cls(sigmas, sigmas * TABLE, config.noise_scale)


def sigma_of(timestep: Tensor, shift: float) -> Tensor:
    """The table's noise level whose timestep is nearest; timestep 0 gives the last entry, not 0."""
    table = sigma_table(shift)
    return table[(table * TABLE - timestep.cpu().reshape(-1, 1)).abs().argmin(dim=1)].reshape(timestep.shape)


def predict_x0(noisy: Tensor, flow: Tensor, sigma: Tensor | float) -> Tensor:
    """x0 = x_t - sigma * flow, in float64, returned in the noisy latents' dtype."""
    return (noisy.double() - sigma * flow.double()).to(noisy.dtype)


def add_noise(clean: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
    """x_t = (1 - sigma) x0 + sigma noise, returned in the noise's dtype."""
    return ((1 - sigma) * clean + sigma * noise).to(noise.dtype)
