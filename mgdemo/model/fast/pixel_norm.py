"""A Triton kernel for the norms of the VAE's decoder, on frames as rows of pixels (see `convolution`).

Results can be in 8 bits.
"""

# Triton's compiler gives its functions signatures that no type checker knows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportPossiblyUnboundVariable=false, reportOptionalMemberAccess=false

from __future__ import annotations

from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

SILU_LEAST = -0.2785  # its smallest value


@triton.jit
def _scaled(value, factor, gamma, steps, zero, SILU: tl.constexpr):
    value *= factor[:, None] * gamma.to(tl.float32)[None, :]
    if SILU:
        value = value / (1.0 + tl.exp2(value * -1.44269504))
    if steps is not None:
        value = tl.minimum(tl.maximum(tl.floor(value * steps + (zero + 0.5)), -128.0), 127.0)
    return value


@triton.jit
def _store_twice(out, kept, at, again, known, late, value):
    """Write pixels, and once more those of the last frames."""
    tl.store(out + at, value.to(out.dtype.element_ty), known)
    if kept is not None:
        tl.store(kept + again, value.to(out.dtype.element_ty), known & late)


@triton.jit(do_not_specialize=["rows", "height", "width", "late", "steps", "zero"])
def _pixel_norm(
    x, gamma, out, kept, rows, height, width, late, steps, zero,
    CHANNELS: tl.constexpr, C: tl.constexpr, SILU: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    y, column = (row // (width + 2)) % (height + 2), row % (width + 2)
    known = (row < rows)[:, None]
    inside = ((row < rows) & (y > 0) & (y <= height) & (column > 0) & (column <= width))[:, None]
    c = tl.arange(0, C)
    at = row.to(tl.int64)[:, None] * CHANNELS + c[None, :]
    # Widths of the published sizes are 3 times a power of 2: in three parts, all lanes have work.
    one = tl.load(x + at, inside, 0.0).to(tl.float32)
    square = one * one
    if CHANNELS > C:
        two = tl.load(x + at + C, inside, 0.0).to(tl.float32)
        three = tl.load(x + at + 2 * C, inside, 0.0).to(tl.float32)
        square += two * two + three * three
    factor = CHANNELS**0.5 / tl.maximum(tl.sqrt(tl.sum(square, 1)), 1e-12)
    last, again = (row >= late)[:, None], at - late.to(tl.int64) * CHANNELS
    one = _scaled(one, factor, tl.load(gamma + c), steps, zero, SILU)
    _store_twice(out, kept, at, again, known, last, one)
    if CHANNELS > C:
        two = _scaled(two, factor, tl.load(gamma + C + c), steps, zero, SILU)
        _store_twice(out, kept, at + C, again + C, known, last, two)
        three = _scaled(three, factor, tl.load(gamma + 2 * C + c), steps, zero, SILU)
        _store_twice(out, kept, at + 2 * C, again + 2 * C, known, last, three)


class Code(NamedTuple):
    """How activations are written in 8 bits: value = step * (code - zero), codes from -128 to 127."""

    step: float
    zero: int

    @classmethod
    def up_to(cls, most: float, least: float = SILU_LEAST) -> Code:
        """For values from `least` to `most`."""
        step = (most - least) / 255
        return cls(step, -128 + round(-least / step))

    def encode(self, x: Tensor) -> Tensor:
        """Values as int8, those beyond the ends as the ends."""
        return (x.float() / self.step + self.zero).round().clamp(-128, 127).to(torch.int8)

    def decode(self, codes: Tensor) -> Tensor:
        """What codes stand for, in float32."""
        return (codes.float() - self.zero) * self.step


def pixel_norm(
    x: Tensor, gamma: Tensor, *, silu: bool = True, kept: Tensor | None = None, code: Code | None = None
) -> Tensor:
    """L2 norm over the channels of frames [T, H + 2, W + 2, C], times sqrt(C) and gamma [C]; zero margins.

    C is a power of 2, or 3 times one. The last frames are written to `kept`, too, as many as it holds. With a
    `code` both are int8.
    """
    frames, height, width, channels = x.shape
    out = torch.empty_like(x, dtype=torch.int8 if code else x.dtype)
    rows = frames * height * width
    late = rows if kept is None else rows - len(kept) * height * width
    c = channels // 3 if channels % 3 == 0 else channels
    block = max(1, 2048 // c)
    steps, zero = (1 / code.step, code.zero) if code else (None, None)
    _pixel_norm[(triton.cdiv(rows, block),)](
        x, gamma, out, kept, rows, height - 2, width - 2, late, steps, zero,
        CHANNELS=channels, C=c, SILU=silu, BLOCK=block, num_warps=8 if c <= 64 else 4,
    )  # fmt: skip
    return out
