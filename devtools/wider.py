"""A VAE with more channels that computes the same: for kernels that only wide ones fit."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mgdemo.model.vae import VAE


@torch.no_grad()
def wider(vae: VAE, times: int) -> VAE:
    """The same function with `times` as many channels, all of the new ones zero. It cannot be trained.

    Norms divide by sqrt(channels) less and attention by more; gains and queries make up for it.
    """
    made = VAE(replace(vae.config, dim=times * vae.config.dim)).eval().requires_grad_(False)
    narrow, wide = dict(vae.named_parameters()), dict(made.named_parameters())
    for name, target in wide.items():
        source = narrow[name]
        target.zero_()
        grid = [
            places(old, new, parts(name) if axis == 0 else 1)
            for axis, (old, new) in enumerate(zip(source.shape, target.shape, strict=True))
        ]
        value = source.clone()
        if name.endswith("gamma"):
            value *= (len(source) / len(target)) ** 0.5
        if "to_qkv" in name:
            value[: len(value) // 3] *= times**0.5
        target[torch.meshgrid(*grid, indexing="ij")] = value
    return made.to(next(vae.parameters()))


def parts(name: str) -> int:
    """Into how many tensors the outputs of a layer are split."""
    if "to_qkv" in name:
        return 3
    return 2 if name.startswith("decoder.") and "time_conv" in name else 1


def places(old: int, new: int, count: int) -> Tensor:
    """The indices, of `new` in all, where `old` channels go if each is `count` tensors side by side."""
    if old == new:
        return torch.arange(new)
    return torch.cat([torch.arange(old // count) + i * (new // count) for i in range(count)])
