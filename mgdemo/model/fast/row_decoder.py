"""The VAE's decoder on the kernels of `convolution`: frames as rows of pixels, for one stream."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.model.fast.convolution import (
    Kernel,
    convolve,
    few_outputs,
    taps_as_outputs,
)
from mgdemo.model.fast.convolution_hopper import LARGER, HopperConvolution, usable
from mgdemo.model.fast.decoder import NextState
from mgdemo.model.fast.pixel_attention import attend_pixels
from mgdemo.model.fast.pixel_norm import Code, pixel_norm
from mgdemo.model.vae import Decoder
from mgdemo.model.vae_layers import AttentionBlock, CausalConv3d, ResidualBlock, RMSNorm, State, Upsample


def fits(decoder: Decoder) -> bool:
    """Whether the kernels can read a decoder's channels."""
    convolutions = [m for m in decoder.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
    parts = {c // 3 if c % 3 == 0 else c for c in (conv.in_channels for conv in convolutions)}
    return all(c >= 16 and c & (c - 1) == 0 for c in parts)


def with_margins(x: Tensor) -> Tensor:
    """Frames [1, C, T, H, W] as rows of pixels [T, H + 2, W + 2, C]."""
    return F.pad(x[0].permute(1, 2, 3, 0), (0, 0, 1, 1, 1, 1)).contiguous()


class RowDecoder(nn.Module):
    """Replaces a VAE's decoder; the first piece of a stream is still decoded by the plain one."""

    def __init__(self, plain: Decoder):
        super().__init__()
        self.plain = plain
        rows = {ResidualBlock: RowResidualBlock, AttentionBlock: RowAttention, Upsample: RowUpsample}
        self.layers = nn.ModuleList(rows[type(part)](part) for part in (*plain.middle, *plain.upsamples))
        norm, _, conv = plain.head
        self.head = RowHead(cast(RMSNorm, norm), cast(CausalConv3d, conv))
        self._codes: dict[nn.Module, Code] = {}  # of what convolutions in 8 bits remember

    def large_convolutions(self) -> list[RowConv]:
        """Those after the first doubling that can have 8 bits. The ones before it cost little, and what they
        get wrong spreads."""
        first = next(i for i, layer in enumerate(self.layers) if isinstance(layer, RowUpsample))
        parts = (part for layer in self.layers[first:] for part in layer.modules())
        return [part for part in parts if isinstance(part, RowConv) and part.conv.in_channels % 32 == 0]

    def use_eight_bits(self, ends: dict[RowConv, float]) -> None:
        """Let convolutions compute in 8 bits, before the first stream; ends: of their inputs' ranges."""
        for conv, end in ends.items():
            code = Code.up_to(end)
            conv.use_eight_bits(code)
            self._codes[conv.conv] = code

    def forward(self, x: Tensor, state: State) -> Tensor:
        if not state:
            out = self.plain(x, state)
            for conv in self._convolutions() & state.keys():
                frames, code = with_margins(state[conv]), self._codes.get(conv)
                state[conv] = frames if code is None else code.encode(frames)
            return out
        if isinstance(state, NextState):
            return self._continue(x, state)
        onward = NextState(state, State((conv, torch.empty_like(t)) for conv, t in state.items()))
        out = self._continue(x, onward)
        state.update(onward.after)
        return out

    def _continue(self, x: Tensor, state: NextState) -> Tensor:
        x = with_margins(self.plain.conv1(x, state))
        for layer in self.layers:
            x = layer(x, state)
        x, past = self.head.activate(x, state)
        return self.head.convolve(x, past)

    def _convolutions(self) -> set[nn.Module]:
        """Those that remember rows of pixels."""
        layers = *self.layers, self.head
        modules = {conv for part in layers for conv in part.modules() if isinstance(conv, CausalConv3d)}
        return {conv for conv in modules if conv.look_back}


def fastest(kernel: Kernel, conv: nn.Module) -> Callable[..., Tensor]:
    """What computes a convolution from `new`, `past` and perhaps `skip`: in CUDA C++ if that can be."""
    dtype = cast(Tensor, conv.weight).dtype
    if usable(kernel, dtype):
        return HopperConvolution(kernel)
    return partial(
        convolve, kernel=kernel, shape="larger" if kernel.extent == LARGER else "same", dtype=dtype
    )


class RowConv(nn.Module):
    """A norm, SiLU and a causal convolution, which remembers the last frames as it reads them.

    In two steps, so that nothing holds what goes into the first one during the second: at the published
    sizes that is 0.35 GB.
    """

    def __init__(self, norm: RMSNorm, conv: CausalConv3d):
        super().__init__()
        self.norm, self.conv = norm, conv
        self.kernel: Any = fastest(Kernel.from_weight(conv.weight, conv.bias), conv)
        self.code: Code | None = None  # of its inputs, in 8 bits

    def use_eight_bits(self, code: Code) -> None:
        assert self.conv.bias is not None
        self.code = code
        self.kernel = fastest(Kernel.in_eight_bits(self.conv.weight, self.conv.bias, code), self.conv)

    def activate(self, x: Tensor, state: NextState) -> tuple[Tensor, Tensor]:
        """What the convolution reads, and the frames before it."""
        past, kept = state[self.conv], state.after[self.conv]
        new = min(len(x), self.conv.look_back)
        kept[:-new] = past[new:]
        return pixel_norm(x, self.norm.gamma.flatten(), kept=kept[-new:], code=self.code), past

    def convolve(self, x: Tensor, past: Tensor, skip: Tensor | None = None) -> Tensor:
        return self.kernel(x, past, skip=skip)


class RowHead(RowConv):
    """Gives frames [1, C, T, H, W]."""

    def __init__(self, norm: RMSNorm, conv: CausalConv3d):
        super().__init__(norm, conv)
        self.kernel = taps_as_outputs(conv.weight)

    def convolve(self, x: Tensor, past: Tensor, skip: Tensor | None = None) -> Tensor:
        return few_outputs(x, past, self.kernel, cast(Tensor, self.conv.bias))


class RowResidualBlock(nn.Module):
    def __init__(self, plain: ResidualBlock):
        super().__init__()
        norm1, _, conv1, norm2, _, _, conv2 = plain.residual
        self.first = RowConv(cast(RMSNorm, norm1), cast(CausalConv3d, conv1))
        self.second = RowConv(cast(RMSNorm, norm2), cast(CausalConv3d, conv2))
        self.shortcut = plain.shortcut

    def forward(self, x: Tensor, state: NextState) -> Tensor:
        skip = x
        if self.shortcut is not None:
            skip = F.linear(x, self.shortcut.weight.flatten(1), self.shortcut.bias)
        x, past = self.first.activate(x, state)
        x = self.first.convolve(x, past)
        x, past = self.second.activate(x, state)
        return self.second.convolve(x, past, skip)


class RowAttention(nn.Module):
    """Over the pixels of each frame; in place."""

    def __init__(self, plain: AttentionBlock):
        super().__init__()
        self.norm, self.to_qkv, self.proj = plain.norm, plain.to_qkv, plain.proj

    def forward(self, x: Tensor, state: NextState) -> Tensor:
        inside = x[:, 1:-1, 1:-1]
        normalized = pixel_norm(x, self.norm.gamma.flatten(), silu=False)[:, 1:-1, 1:-1].flatten(1, 2)
        qkv = F.linear(normalized, self.to_qkv.weight.flatten(1), self.to_qkv.bias)
        seen = attend_pixels(*qkv.chunk(3, dim=2))
        inside += F.linear(seen, self.proj.weight.flatten(1), self.proj.bias).view(inside.shape)
        return x


class RowUpsample(nn.Module):
    """Reads the picture before it is doubled."""

    def __init__(self, plain: Upsample):
        super().__init__()
        conv, self.time_conv = cast(nn.Conv2d, plain.resample[1]), plain.time_conv
        self.kernel = fastest(Kernel.from_upsample(conv.weight, cast(Tensor, conv.bias)), conv)
        if self.time_conv is not None:
            self.time_kernel = Kernel.from_weight(self.time_conv.weight, self.time_conv.bias)

    def forward(self, x: Tensor, state: NextState) -> Tensor:
        if self.time_conv is not None:
            x = self._double(x, self.time_conv, state)
        for margin in (x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]):
            margin.zero_()
        return self.kernel(x, None)

    def _double(self, x: Tensor, conv: CausalConv3d, state: NextState) -> Tensor:
        """Twice as many frames."""
        past, look_back = state[conv], conv.look_back
        state[conv] = (x if len(x) >= look_back else torch.cat((past, x)))[-look_back:]
        return convolve(x, past, self.time_kernel, shape="pairs")
