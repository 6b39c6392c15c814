"""Rotary position embeddings (Su et al., 2021) over interleaved pairs of channels.

Angles are computed for the positions at hand, in float64, so that no table ends: sessions have no limit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Rotation:
    """Cosines and sines, each [N, L, 1, P] float32: P pairs of channels of L tokens."""

    cos: Tensor
    sin: Tensor

    @classmethod
    def from_angles(cls, angles: Tensor) -> Rotation:
        """From angles [N, L, P] in radians."""
        angles = angles.unsqueeze(2)
        return cls(angles.cos().float(), angles.sin().float())

    def __call__(self, x: Tensor) -> Tensor:
        """Rotate the first 2P channels of x [N, L, H, D]; the others pass through."""
        width = 2 * self.cos.shape[-1]
        even, odd = x[..., :width].float().unflatten(-1, (-1, 2)).unbind(-1)
        turned = torch.stack((even * self.cos - odd * self.sin, even * self.sin + odd * self.cos), -1)
        turned = turned.flatten(-2).to(x.dtype)
        return turned if width == x.shape[-1] else torch.cat((turned, x[..., width:]), -1)


def frequencies(width: int, theta: float, device: torch.device | str) -> Tensor:
    """Angular frequencies of `width` / 2 pairs: theta^(-2i / width), float64."""
    return theta ** (-torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)


def video_rotation(
    frames: Tensor, height: int, width: int, head_dim: int, theta: float = 10000.0
) -> Rotation:
    """Three-axis rotation of a block's tokens in (frame, row, column) order.

    frames [N, F] holds absolute latent frame indices. The channels split into (t, h, w) as
    head_dim - 4 (head_dim // 6), 2 (head_dim // 6), 2 (head_dim // 6), which are not equal thirds.
    """
    side = 2 * (head_dim // 6)
    device = frames.device
    t = frames.double()[..., None] * frequencies(head_dim - 2 * side, theta, device)  # [N, F, Pt]
    per_row = frequencies(side, theta, device)
    h = torch.arange(height, device=device, dtype=torch.float64)[:, None] * per_row
    w = torch.arange(width, device=device, dtype=torch.float64)[:, None] * per_row
    n, f = frames.shape
    shape = (n, f, height, width, -1)
    angles = torch.cat(
        (t[:, :, None, None].expand(shape), h[:, None].expand(shape), w[None].expand(shape)), dim=-1
    )
    return Rotation.from_angles(angles.flatten(1, 3))


def time_rotation(frames: Tensor, width: int, theta: float) -> Rotation:
    """Rotation over time alone, of the first `width` channels; frames [N, L] are latent frame indices.

    The reference gives the action attention a (t, h, w) table over a 1x1 grid: its h and w angles are 0.
    """
    return Rotation.from_angles(frames.double()[..., None] * frequencies(width, theta, frames.device))
