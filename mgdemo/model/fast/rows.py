"""Triton kernels for rows of the token stream.

Each reads a row once and does all that happens to it between two matrix products. Results can be in 8 bits
(e4m3), as `product` reads them.
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

from mgdemo.model.fast.tiles import power_of_2

FP8 = torch.float8_e4m3fn
FP8_MAX = tl.constexpr(448.0)


class Rows(NamedTuple):
    """Rows [N, C] in e4m3, the scale [N, 1] of each, and the norm [N, 1] of what they stand for."""

    values: Tensor
    scale: Tensor
    norm: Tensor | None = None


def _warps(width: int, quantize: bool = False) -> int:
    """For a row; found by trial on an H100. One alone finds a row's maximum without waiting for others."""
    return 1 if quantize else min(8, max(1, power_of_2(width) // 1024))


@triton.jit
def gelu_tanh(value):
    """Its tanh form, which is value * sigmoid(1.5957691 * (value + 0.044715 * value ** 3))."""
    return value / (1.0 + tl.exp2(value * (-2.302208198 - 0.1029432397 * value * value)))


@triton.jit
def _store_rows(values, out, scale, norm, row, c, mask, WIDTH, QUANTIZE: tl.constexpr):
    if QUANTIZE:
        step = tl.maximum(tl.max(tl.where(mask, tl.abs(values), 0.0)), 1e-12) / FP8_MAX
        tl.store(scale + row, step)
        values = tl.minimum(tl.maximum(values / step, -FP8_MAX), FP8_MAX)
    stored = values.to(out.dtype.element_ty)
    tl.store(out + row * WIDTH + c, stored, mask)
    if QUANTIZE:
        kept = tl.where(mask, stored.to(tl.float32), 0.0)
        tl.store(norm + row, tl.sqrt(tl.sum(kept * kept)) * step)


@triton.jit
def _residual_norm(
    x, update, gate, gain, shift, out, scale, norm, tokens, per_frame, eps,
    WIDTH: tl.constexpr, UPDATE: tl.constexpr, GATED: tl.constexpr, MODULATED: tl.constexpr,
    NORMALIZED: tl.constexpr, QUANTIZE: tl.constexpr, BLOCK: tl.constexpr,
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
        tl.store(x + row * WIDTH + c, value.to(x.dtype.element_ty), mask)
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
        _store_rows(normalized, out, scale, norm, row, c, mask, WIDTH, QUANTIZE)
    elif QUANTIZE:
        _store_rows(value, out, scale, norm, row, c, mask, WIDTH, QUANTIZE)


def residual_norm(
    x: Tensor,
    gain: Tensor,
    shift: Tensor,
    eps: float,
    *,
    update: Tensor | None = None,
    gate: Tensor | None = None,
    quantize: bool = False,
) -> Tensor | Rows:
    """x += gate * update, in place, and the layer norm of x [N, C] with a gain and a shift.

    They are [C], or [F, C], one a frame (of one stride, and so is `gate`): then the gain counts from 1.
    """
    rows, width = x.shape
    modulated = gain.ndim == 2
    out = _rows_like(x, quantize)
    frames = gain.shape[0] if modulated else gate.shape[0] if gate is not None else 1
    per_frame = gain.stride(0) if modulated else gate.stride(0) if gate is not None else 0
    _residual_norm[(rows,)](
        x, update, gate, gain, shift, *out, rows // frames, per_frame, eps,
        WIDTH=width, UPDATE=update is not None, GATED=gate is not None, MODULATED=modulated, NORMALIZED=True,
        QUANTIZE=quantize, BLOCK=power_of_2(width), num_warps=_warps(width, quantize),
    )  # fmt: skip
    return out if quantize else out.values


def residual(
    x: Tensor, update: Tensor, gate: Tensor | None = None, *, quantize: bool = False
) -> Tensor | Rows:
    """x += gate * update, in place, with gate [F, C] of a row's frame; returns x, or its rows in 8 bits."""
    rows, width = x.shape
    frames, per_frame = (1, 0) if gate is None else (len(gate), gate.stride(0))
    out = _rows_like(x, True) if quantize else Rows(x, None)
    _residual_norm[(rows,)](
        x, update, gate, None, None, *out, rows // frames, per_frame, 0.0,
        WIDTH=width, UPDATE=True, GATED=gate is not None, MODULATED=False, NORMALIZED=False,
        QUANTIZE=quantize, BLOCK=power_of_2(width), num_warps=_warps(width, quantize),
    )  # fmt: skip
    return out if quantize else x


def _rows_like(x: Tensor, quantize: bool) -> Rows:
    if not quantize:
        return Rows(torch.empty_like(x, memory_format=torch.contiguous_format), None, None)
    return Rows(torch.empty_like(x, dtype=FP8), *x.new_empty(2, len(x), 1, dtype=torch.float32))


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
    _store_rows(value, out, scale, norm, row, c, mask, WIDTH, QUANTIZE)


def activated(
    x: Tensor, *, added: Tensor | None = None, gelu: bool = False, quantize: bool = False
) -> Tensor | Rows:
    """Rows x [N, C], with `added` [F, C] of their frame, through GELU (tanh form)."""
    rows, width = x.shape
    out = _rows_like(x, quantize)
    _activated[(rows,)](
        x, added, *out, rows // len(added) if added is not None else 1,
        WIDTH=width, ADD=added is not None, GELU=gelu, QUANTIZE=quantize,
        BLOCK=power_of_2(width), num_warps=_warps(width, quantize),
    )  # fmt: skip
    return out if quantize else out.values


@triton.jit
def _rotated(even, odd, cos, sin, row, pair, PAIRS: tl.constexpr):
    """Pairs of channels rotated; `pair` counts them in their head, those from PAIRS on stay."""
    turns = pair < PAIRS
    c = tl.load(cos + row * PAIRS + pair, turns, 1.0)
    s = tl.load(sin + row * PAIRS + pair, turns, 0.0)
    return even * c - odd * s, even * s + odd * c


@triton.jit
def _normalized_pairs(x, weight, eps, c, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    """A row's root-mean-square norm over its whole width, split into even and odd channels."""
    mask = c < WIDTH
    value = tl.load(x + c, mask, 0.0).to(tl.float32)
    value *= tl.rsqrt(tl.sum(value * value) / WIDTH + eps)
    value *= tl.load(weight + c, mask, 0.0).to(tl.float32)
    return tl.split(tl.reshape(value, (BLOCK // 2, 2)))


@triton.jit
def _rotate_store(
    qkv, weight_q, weight_k, cos, sin, slots, q, ring_k, ring_v, eps,
    WIDTH: tl.constexpr, PAIRS: tl.constexpr, HALF: tl.constexpr, QUERY: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    c = tl.arange(0, BLOCK)
    mask = c < WIDTH
    pair = tl.arange(0, BLOCK // 2) % HALF
    here = qkv + row * 3 * WIDTH
    slot = tl.load(slots + row) * WIDTH
    if QUERY:
        even, odd = _normalized_pairs(here, weight_q, eps, c, WIDTH, BLOCK)
        even, odd = _rotated(even, odd, cos, sin, row, pair, PAIRS)
        rotated = tl.reshape(tl.join(even, odd), (BLOCK,))
        tl.store(q + row * WIDTH + c, rotated.to(q.dtype.element_ty), mask)
    even, odd = _normalized_pairs(here + WIDTH, weight_k, eps, c, WIDTH, BLOCK)
    even, odd = _rotated(even, odd, cos, sin, row, pair, PAIRS)
    rotated = tl.reshape(tl.join(even, odd), (BLOCK,))
    tl.store(ring_k + slot + c, rotated.to(ring_k.dtype.element_ty), mask)
    tl.store(ring_v + slot + c, tl.load(here + 2 * WIDTH + c, mask), mask)


def rotate_store(
    qkv: Tensor,
    weight_q: Tensor,
    weight_k: Tensor,
    eps: float,
    cos: Tensor,
    sin: Tensor,
    slots: Tensor,
    ring_k: Tensor,
    ring_v: Tensor,
    *,
    query: bool = True,
) -> Tensor | None:
    """Self-attention's queries [N, H, D] from qkv [N, 3 C]; keys and values go to their slots in the rings.

    Queries and keys are normalized over their whole width and rotated by cos and sin [1, N, 1, P]. Without
    `query` the rings alone are filled.
    """
    heads, dim = ring_k.shape[-2:]
    q = qkv.new_empty(len(qkv), heads, dim) if query else None
    _rotate_store[(len(qkv),)](
        qkv, weight_q, weight_k, cos, sin, slots, q, ring_k, ring_v, eps,
        WIDTH=heads * dim, PAIRS=cos.shape[-1], HALF=dim // 2, QUERY=query,
        BLOCK=power_of_2(heads * dim), num_warps=4,
    )  # fmt: skip
    return q


@triton.jit
def _rms_norm(x, weight, out, eps, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    c = tl.arange(0, BLOCK)
    mask = c < WIDTH
    value = tl.load(x + row * WIDTH + c, mask, 0.0).to(tl.float32)
    value *= tl.rsqrt(tl.sum(value * value) / WIDTH + eps)
    value *= tl.load(weight + c, mask, 0.0).to(tl.float32)
    tl.store(out + row * WIDTH + c, value.to(out.dtype.element_ty), mask)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Root-mean-square norm of rows [N, C] with a gain [C]."""
    rows, width = x.shape
    out = torch.empty_like(x)
    _rms_norm[(rows,)](x, weight, out, eps, WIDTH=width, BLOCK=power_of_2(width), num_warps=_warps(width))
    return out


@triton.jit
def _head_rows(x, HEADS: tl.constexpr, DIM: tl.constexpr, H: tl.constexpr, D: tl.constexpr):
    """A row as [H, D] float32, padded with zeros from [HEADS, DIM]."""
    h, d = tl.arange(0, H)[:, None], tl.arange(0, D)[None, :]
    return tl.load(x + h * DIM + d, (h < HEADS) & (d < DIM), 0.0).to(tl.float32)


@triton.jit
def _normalized_rotated(
    value, cos, sin, frame,
    DIM: tl.constexpr, PAIRS: tl.constexpr, NORM: tl.constexpr, H: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Each head normalized by itself (if NORM) and rotated by its frame's angles."""
    if NORM:
        value *= tl.rsqrt(tl.sum(value * value, 1) / DIM + 1e-6)[:, None]
    even, odd = tl.split(tl.reshape(value, (H, D // 2, 2)))
    pair = tl.arange(0, D // 2)[None, :]
    even, odd = _rotated(even, odd, cos, sin, frame, pair, PAIRS)
    return tl.reshape(tl.join(even, odd), (H, D))


@triton.jit
def _store_few(
    k, v, cos, sin, slots, ring_k, ring_v, tokens, stride, window,
    HEADS: tl.constexpr, DIM: tl.constexpr, PAIRS: tl.constexpr, NORM: tl.constexpr, H: tl.constexpr,
    D: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    frame, token = row // tokens, row % tokens
    key = _head_rows(k + row * stride, HEADS, DIM, H, D)
    key = _normalized_rotated(key, cos, sin, frame, DIM, PAIRS, NORM, H, D)
    value = _head_rows(v + row * stride, HEADS, DIM, H, D)
    h, d = tl.arange(0, H)[:, None], tl.arange(0, D)[None, :]
    mask = (h < HEADS) & (d < DIM)
    to = (token * window + tl.load(slots + frame)) * HEADS * DIM + h * DIM + d
    tl.store(ring_k + to, key.to(ring_k.dtype.element_ty), mask)
    tl.store(ring_v + to, value.to(ring_v.dtype.element_ty), mask)


@triton.jit
def _attend_few(
    q, cos, sin, ring_k, ring_v, out, tokens, stride, window, filled,
    SHARED: tl.constexpr, HEADS: tl.constexpr, DIM: tl.constexpr, PAIRS: tl.constexpr, NORM: tl.constexpr,
    H: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    frame, token = row // tokens, row % tokens
    query = _head_rows(q + row * stride, HEADS, DIM, H, D)
    query = _normalized_rotated(query, cos, sin, frame, DIM, PAIRS, NORM, H, D) / DIM**0.5
    first = 0 if SHARED else token * window
    best = tl.full((H,), float("-inf"), tl.float32)
    total = tl.zeros((H,), tl.float32)
    seen = tl.zeros((H, D), tl.float32)
    for j in range(filled):
        here = (first + j) * HEADS * DIM
        score = tl.sum(query * _head_rows(ring_k + here, HEADS, DIM, H, D), 1)
        better = tl.maximum(best, score)
        weight, keep = tl.exp(score - better), tl.exp(best - better)
        total = total * keep + weight
        seen = seen * keep[:, None] + weight[:, None] * _head_rows(ring_v + here, HEADS, DIM, H, D)
        best = better
    h, d = tl.arange(0, H)[:, None], tl.arange(0, D)[None, :]
    to = out + row * HEADS * DIM + h * DIM + d
    tl.store(to, (seen / total[:, None]).to(out.dtype.element_ty), (h < HEADS) & (d < DIM))


def attend_few(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cos: Tensor,
    sin: Tensor,
    slots: Tensor,
    ring_k: Tensor,
    ring_v: Tensor,
    filled: int,
    *,
    norm: bool,
) -> Tensor:
    """Attention over a ring of a handful of frames, [F * S, H D] from rows of queries q [F * S, H D].

    Keys and values come first to their `slots` [F] of rings [S or 1, window, H, D]. k and v are rows in the
    order of frame, then token, as many a frame as there are rings: one ring is shared by all tokens of q.
    Queries and keys are normalized, each head by itself, and rotated by their frame's cos and sin [F, P].
    """
    (streams, window, heads, dim), frames = ring_k.shape, len(slots)
    sizes = {"HEADS": heads, "DIM": dim, "PAIRS": cos.shape[-1], "NORM": norm}
    sizes |= {"H": power_of_2(heads), "D": power_of_2(dim)}
    out = q.new_empty(len(q), heads * dim)
    _store_few[(len(k),)](
        k, v, cos, sin, slots, ring_k, ring_v, len(k) // frames, k.stride(0), window, **sizes
    )
    _attend_few[(len(q),)](
        q, cos, sin, ring_k, ring_v, out, len(q) // frames, q.stride(0), window, filled,
        SHARED=streams == 1, **sizes,
    )  # fmt: skip
    return out
