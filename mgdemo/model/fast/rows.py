"""Triton kernels for rows of the token stream.

Each reads a row once and does all that happens to it between two matrix products. Results can be in 8 bits,
as `product` reads them.
"""

# Triton's compiler gives its functions signatures that no type checker knows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportPossiblyUnboundVariable=false, reportOptionalMemberAccess=false

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor

from mgdemo.model.fast.tiles import power_of_2

FP8 = torch.float8_e4m3fn
INT8 = torch.int8
INT8_MAX, FP8_MAX = tl.constexpr(127.0), tl.constexpr(448.0)


class Rows(NamedTuple):
    """Rows [N, C] in int8 or e4m3, the scale [N, 1] of each, and the norm [N, 1] of what they stand for."""

    values: Tensor
    scale: Tensor | None = None  # None: values are not in 8 bits
    norm: Tensor | None = None

    @property
    def quantized(self) -> bool:
        return self.scale is not None


def warps_for(width: int, quantize: bool = False) -> int:
    """For a row; found by trial on an H100. One alone finds a row's maximum without waiting for others."""
    return 1 if quantize else min(8, max(1, power_of_2(width) // 1024))


@triton.jit
def gelu_tanh(value):
    """Its tanh form, which is value * sigmoid(1.5957691 * (value + 0.044715 * value ** 3))."""
    return value / (1.0 + tl.exp2(value * (-2.302208198 - 0.1029432397 * value * value)))


@triton.jit
def store_row(values, out, scale, norm, row, to, mask, QUANTIZE: tl.constexpr):
    """Write one row to out + to; with QUANTIZE in 8 bits."""
    if QUANTIZE:
        MOST: tl.constexpr = INT8_MAX if out.dtype.element_ty == tl.int8 else FP8_MAX
        step = tl.maximum(tl.max(tl.where(mask, tl.abs(values), 0.0)), 1e-12) / MOST
        tl.store(scale + row, step)
        values = tl.minimum(tl.maximum(values * (1.0 / step), -MOST), MOST)
        if out.dtype.element_ty == tl.int8:
            values = tl.floor(values + 0.5)
    stored = values.to(out.dtype.element_ty)
    tl.store(out + to, stored, mask)
    if QUANTIZE:
        kept = tl.where(mask, stored.to(tl.float32), 0.0)
        tl.store(norm + row, tl.sqrt(tl.sum(kept * kept)) * step)


@triton.jit
def _residual_norm(
    x, update, gate, ahead, gain, shift, out, scale, norm, tokens, per_frame, eps,
    WIDTH: tl.constexpr, UPDATE: tl.constexpr, GATED: tl.constexpr, AHEAD: tl.constexpr,
    MODULATED: tl.constexpr, NORMALIZED: tl.constexpr, QUANTIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    frame = row // tokens
    c = tl.arange(0, BLOCK)
    mask = c < WIDTH
    value = tl.load(x + row * WIDTH + c, mask, 0.0).to(tl.float32)
    if UPDATE:
        added = tl.load(update + row * WIDTH + c, mask, 0.0).to(tl.float32)
        if GATED:
            added *= tl.load(gate + frame * per_frame + c, mask, 0.0).to(tl.float32)
        value += added
        kept = value
        if AHEAD:
            kept += tl.load(ahead + c, mask, 0.0).to(tl.float32)
        tl.store(x + row * WIDTH + c, kept.to(x.dtype.element_ty), mask)
    if NORMALIZED:
        away = tl.where(mask, value - tl.sum(value) / WIDTH, 0.0)
        normalized = away * tl.rsqrt(tl.sum(away * away) / WIDTH + eps)
        if MODULATED:
            factor = 1.0 + tl.load(gain + frame * per_frame + c, mask, 0.0).to(tl.float32)
            normalized = normalized * factor + tl.load(shift + frame * per_frame + c, mask, 0.0).to(
                tl.float32
            )
        else:
            normalized *= tl.load(gain + c, mask, 0.0).to(tl.float32)
            normalized += tl.load(shift + c, mask, 0.0).to(tl.float32)
        store_row(normalized, out, scale, norm, row, row * WIDTH + c, mask, QUANTIZE)


def residual_norm(
    x: Tensor,
    gain: Tensor,
    shift: Tensor,
    eps: float,
    *,
    update: Tensor | None = None,
    gate: Tensor | None = None,
    ahead: Tensor | None = None,
    quantize: torch.dtype | None = None,
) -> Tensor | Rows:
    """x += gate * update, in place, and the layer norm of x [N, C] with a gain and a shift.

    They are [C], or [F, C], one a frame (of one stride, and so is `gate`): then the gain counts from 1.
    ahead: [C], is added to x with the update, but not to what is normalized.
    """
    rows, width = x.shape
    modulated = gain.ndim == 2
    out = empty_rows(x.shape, x, quantize)
    frames = gain.shape[0] if modulated else gate.shape[0] if gate is not None else 1
    per_frame = gain.stride(0) if modulated else gate.stride(0) if gate is not None else 0
    _residual_norm[(rows,)](
        x, update, gate, ahead, gain, shift, *out, rows // frames, per_frame, eps, WIDTH=width,
        UPDATE=update is not None, GATED=gate is not None, AHEAD=ahead is not None, MODULATED=modulated,
        NORMALIZED=True, QUANTIZE=out.quantized, BLOCK=power_of_2(width),
        num_warps=warps_for(width, out.quantized),
    )  # fmt: skip
    return out if quantize else out.values


def residual(x: Tensor, update: Tensor, gate: Tensor | None = None) -> Tensor:
    """x += gate * update, in place, with gate [F, C] of a row's frame; returns x."""
    rows, width = x.shape
    frames, per_frame = (1, 0) if gate is None else (len(gate), gate.stride(0))
    _residual_norm[(rows,)](
        x, update, gate, None, None, None, None, None, None, rows // frames, per_frame, 0.0, WIDTH=width,
        UPDATE=True, GATED=gate is not None, AHEAD=False, MODULATED=False, NORMALIZED=False, QUANTIZE=False,
        BLOCK=power_of_2(width), num_warps=warps_for(width),
    )  # fmt: skip
    return x


def empty_rows(shape: Sequence[int], x: Tensor, quantize: torch.dtype | None) -> Rows:
    """Empty rows of this shape: in x's type, or in 8 bits."""
    if quantize is None:
        return Rows(x.new_empty(shape))
    return Rows(x.new_empty(shape, dtype=quantize), *x.new_empty(2, shape[0], 1, dtype=torch.float32))


@triton.jit
def _activated(
    x, added, out, scale, norm, tokens,
    WIDTH: tl.constexpr, ADD: tl.constexpr, GELU: tl.constexpr, QUANTIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    c = tl.arange(0, BLOCK)
    mask = c < WIDTH
    value = tl.load(x + row * WIDTH + c, mask, 0.0).to(tl.float32)
    if ADD:
        value += tl.load(added + (row // tokens) * WIDTH + c, mask, 0.0).to(tl.float32)
    if GELU:
        value = gelu_tanh(value)
    store_row(value, out, scale, norm, row, row * WIDTH + c, mask, QUANTIZE)


def activated(
    x: Tensor, *, added: Tensor | None = None, gelu: bool = False, quantize: torch.dtype | None = None
) -> Tensor | Rows:
    """Rows x [N, C], with `added` [F, C] of their frame, through GELU (tanh form)."""
    rows, width = x.shape
    out = empty_rows(x.shape, x, quantize)
    _activated[(rows,)](
        x, added, *out, rows // len(added) if added is not None else 1,
        WIDTH=width, ADD=added is not None, GELU=gelu, QUANTIZE=out.quantized,
        BLOCK=power_of_2(width), num_warps=warps_for(width, out.quantized),
    )  # fmt: skip
    return out if quantize else out.values
