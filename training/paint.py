"""What all painters share: rays, grain, and the mixing of colors."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

TAU = 2 * math.pi


class Rays(NamedTuple):
    """One sample ray per [N, H, W] and where it ends; `s` is its length over the ground."""

    eye: Tensor  # [N, 1, 1], its height
    m: Tensor  # slope: height gained per unit of s
    azimuth: Tensor  # [N, 1, W]
    s: Tensor
    part: Tensor  # int64, index into the column's parts (any, where nothing was hit)
    is_object: Tensor  # 1.0 or 0.0
    is_ground: Tensor
    is_sky: Tensor
    focal: float  # pixels a unit of tangent


class Grain(NamedTuple):
    """Noise on what each ray meets: two octaves in [-0.5, 0.5], faded out where too fine to draw."""

    coarse: Tensor
    fine: Tensor
    fade: Tensor  # 0 where even the coarse octave is too fine


def blend(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Colors [N, 3, H, W] between a and b by t [N, H, W]."""
    return a + (b - a) * t[:, None]


def cover(inside: Tensor, pixel: Tensor) -> Tensor:
    """Share of a pixel (its size in units) that lies where `inside`, a distance to an edge, is positive."""
    return (inside / pixel + 0.5).clamp(0, 1)


def stripe(offset: Tensor, half: float, pixel: Tensor) -> Tensor:
    """Share of a pixel that is within `half` of a line at `offset`."""
    return cover(half - offset.abs(), pixel) * (2 * half / pixel).clamp(max=1)


def noise(u: Tensor, v: Tensor, seed: Tensor, mask: Tensor) -> Tensor:
    """Value noise in [-0.5, 0.5] on the unit lattice; `mask` wraps u's cells (2^n - 1, or -1 for never)."""
    fu, fv = torch.floor(u), torch.floor(v)
    iu, iv = fu.int(), fv.int()
    u, v = u - fu, v - fv
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    a0, a1 = (iu & mask) * 0x1B873593, ((iu + 1) & mask) * 0x1B873593
    b0 = iv * 0x27D4EB2F + seed
    b1 = b0 + 0x27D4EB2F

    def corner(a: Tensor, b: Tensor) -> Tensor:
        h = (a ^ b) * 0x7FEB352D
        h = (h ^ (h >> 16)) * -0x7B935975
        return ((h >> 16) & 0xFFFF).float()

    low = torch.lerp(corner(a0, b0), corner(a1, b0), u)
    return torch.lerp(low, torch.lerp(corner(a0, b1), corner(a1, b1), u), v) * (1 / 65535) - 0.5
