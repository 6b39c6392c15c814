"""The layers of the causal 3D VAE, and what they remember of a stream.

Every operator is causal in time, so a video may be fed in pieces of any length with the same result, provided
that each temporal convolution remembers the last frames it saw, in the stream's `State`. Tensors are
[B, C, T, H, W].
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class State(dict[nn.Module, Tensor]):
    """What a stream remembers: the last frames that each temporal convolution saw; empty at the start.

    New frames come in new tensors, so a copy of the dictionary is a second stream that continues from here.
    """

    def __setitem__(self, layer: nn.Module, frames: Tensor) -> None:
        """Keep a copy: what the frames are part of need not live on."""
        super().__setitem__(layer, frames.clone())

    def to(self, device: torch.device | str) -> State:
        """A copy on a device."""
        return State((layer, t.to(device, copy=True)) for layer, t in self.items())


def frames_first(x: Tensor) -> Tensor:
    """[B, C, T, H, W] -> [B*T, C, H, W]."""
    return x.transpose(1, 2).flatten(0, 1)


def frames_third(x: Tensor, batch: int) -> Tensor:
    """[B*T, C, H, W] -> [B, C, T, H, W]."""
    return x.unflatten(0, (batch, -1)).transpose(1, 2)


def after_zeros(x: Tensor, frames: int) -> Tensor:
    """x [B, C, T, H, W] after `frames` of zeros, channels last if x is: it decides how all later states lie.

    Padding alone does not see that layout where B = T = 1, and each later block would pay for it.
    """
    return F.pad(x, (0, 0, 0, 0, frames, 0)).contiguous(memory_format=layout(x))


def layout(x: Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.channels_last_3d if last else torch.contiguous_format


class CausalConv3d(nn.Conv3d):
    """A convolution that sees no later frame: it looks back `kernel - stride` frames, zeros at the start."""

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, ...], stride: int = 1):
        size = (kernel, kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (0, size[1] // 2, size[2] // 2)
        super().__init__(inputs, outputs, cast(tuple[int, int, int], size), (stride, 1, 1), padding)
        self.look_back = size[0] - stride

    def forward(self, x: Tensor, state: State) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        if self.look_back:
            x = torch.cat((state[self], x), dim=2) if self in state else after_zeros(x, self.look_back)
            state[self] = x[:, :, -self.look_back :]
        return self.convolve(x)

    def convolve(self, x: Tensor) -> Tensor:
        """The convolution of frames that begin with those it looks back to."""
        return F.conv3d(x, self.weight, self.bias, self.stride, self.padding)


class RMSNorm(nn.Module):
    """L2 normalization over the channels, times sqrt(C) and a gain."""

    def __init__(self, channels: int, axes: int = 3):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *(1,) * axes))

    def factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What x is to be multiplied with, one after the other."""
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(1e-12)
        return length.reciprocal(), self.gamma * x.shape[1] ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        shrink, gain = self.factors(x)
        return x * shrink * gain


class Sequential(nn.Sequential):
    """Layers in order; those with a memory get the stream's state."""

    def forward(self, x: Tensor, state: State) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        for layer in self:
            stateful = isinstance(
                layer, CausalConv3d | ResidualBlock | AttentionBlock | Downsample | Upsample
            )
            x = layer(x, state) if stateful else layer(x)
        return x


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.residual = Sequential(
            RMSNorm(inputs),
            nn.SiLU(),
            CausalConv3d(inputs, outputs, 3),
            RMSNorm(outputs),
            nn.SiLU(),
            nn.Identity(),  # the published numbering counts a dropout here
            CausalConv3d(outputs, outputs, 3),
        )
        self.shortcut = CausalConv3d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, state: State) -> Tensor:
        skip = x if self.shortcut is None else self.shortcut(x, state)
        return self.residual(x, state) + skip


class AttentionBlock(nn.Module):
    """Single-head self-attention over the pixels of each frame."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = RMSNorm(channels, axes=2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, state: State) -> Tensor:
        flat = frames_first(x)
        q, k, v = self.to_qkv(self.norm(flat)).flatten(2).unsqueeze(1).transpose(2, 3).chunk(3, dim=-1)
        seen = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)
        return x + frames_third(self.proj(seen.reshape(flat.shape)), x.shape[0])


class Downsample(nn.Module):
    """Halves height and width and, if `temporal`, time; the first frame of a stream stays alone."""

    def __init__(self, channels: int, temporal: bool):
        super().__init__()
        # One row and column of zeros at the bottom and right only.
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))
        self.time_conv = CausalConv3d(channels, channels, (3, 1, 1), stride=2) if temporal else None

    def forward(self, x: Tensor, state: State) -> Tensor:
        x = frames_third(self.resample(frames_first(x)), x.shape[0])
        if self.time_conv is None:
            return x
        if self.time_conv in state:
            return self.time_conv(x, state)
        first, rest = x[:, :, :1], x[:, :, 1:]
        state[self.time_conv] = first
        return torch.cat((first, self.time_conv(rest, state)), dim=2) if rest.shape[2] else first


class Upsample(nn.Module):
    """Doubles height and width and, if `temporal`, time; the first frame of a stream is not doubled."""

    def __init__(self, channels: int, temporal: bool):
        super().__init__()
        self.resample = nn.Sequential(
            nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(channels, channels // 2, 3, padding=1)
        )
        self.time_conv = CausalConv3d(channels, 2 * channels, (3, 1, 1)) if temporal else None

    def forward(self, x: Tensor, state: State) -> Tensor:
        if self.time_conv is not None:
            x = self._double(x, self.time_conv, state)
        return frames_third(self.resample(frames_first(x)), x.shape[0])

    def _double(self, x: Tensor, conv: CausalConv3d, state: State) -> Tensor:
        if conv in state:
            # The first half of the channels is the earlier frame of each pair.
            return torch.stack(conv(x, state).chunk(2, dim=1), dim=3).flatten(2, 3)
        first, rest = x[:, :, :1], x[:, :, 1:]
        # The convolution never sees the first frame: its past begins as zeros.
        state[conv] = after_zeros(first, conv.look_back)[:, :, :-1]
        return torch.cat((first, self._double(rest, conv, state)), dim=2) if rest.shape[2] else first
