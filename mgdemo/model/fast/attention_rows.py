"""Triton kernels around attention, for rows of the token stream: norms and rotation of queries and keys, the
way into rings, and all of attention where it is to a handful of frames.
"""

# Triton's compiler gives its functions signatures that no type checker knows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportPossiblyUnboundVariable=false, reportOptionalMemberAccess=false

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from mgdemo.model.fast.rows import Rows, empty_rows, store_row, warps_for
from mgdemo.model.fast.tiles import power_of_2


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
        BLOCK=power_of_2(heads * dim), num_warps=1,
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
    _rms_norm[(rows,)](x, weight, out, eps, WIDTH=width, BLOCK=power_of_2(width), num_warps=warps_for(width))
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
    q, cos, sin, ring_k, ring_v, out, scale, norm, tokens, stride, filled,
    WINDOW: tl.constexpr, SHARED: tl.constexpr, QUANTIZE: tl.constexpr, HEADS: tl.constexpr,
    DIM: tl.constexpr, PAIRS: tl.constexpr, NORM: tl.constexpr, H: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    frame, token = row // tokens, row % tokens
    query = _head_rows(q + row * stride, HEADS, DIM, H, D)
    query = _normalized_rotated(query, cos, sin, frame, DIM, PAIRS, NORM, H, D) / DIM**0.5
    first = 0 if SHARED else token * WINDOW
    best = tl.full((H,), float("-inf"), tl.float32)
    total = tl.zeros((H,), tl.float32)
    seen = tl.zeros((H, D), tl.float32)
    for j in tl.static_range(WINDOW):  # all keys are asked for before the first is there
        here = (first + j) * HEADS * DIM
        score = tl.sum(query * _head_rows(ring_k + here, HEADS, DIM, H, D), 1)
        score = tl.where(j < filled, score, float("-inf"))
        better = tl.maximum(best, score)
        weight, keep = tl.exp(score - better), tl.exp(best - better)
        total = total * keep + weight
        seen = seen * keep[:, None] + weight[:, None] * _head_rows(ring_v + here, HEADS, DIM, H, D)
        best = better
    h, d = tl.arange(0, H)[:, None], tl.arange(0, D)[None, :]
    to, mask = row * HEADS * DIM + h * DIM + d, (h < HEADS) & (d < DIM)
    store_row(seen / total[:, None], out, scale, norm, row, to, mask, QUANTIZE)


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
    quantize: torch.dtype | None = None,
) -> Tensor | Rows:
    """Attention over a ring of a handful of frames, [F * S, H D] from rows of queries q [F * S, H D].

    Keys and values come first to their `slots` [F] of rings [R, window, H, D]. k and v are [F * R, H D],
    frame by frame, R rows each, one for each of the R rings (R = S, or 1: all tokens of q share the ring).
    Queries and keys are normalized, each head by itself, and rotated by their frame's cos and sin [F, P].
    """
    (streams, window, heads, dim), frames = ring_k.shape, len(slots)
    sizes = {"HEADS": heads, "DIM": dim, "PAIRS": cos.shape[-1], "NORM": norm}
    sizes |= {"H": power_of_2(heads), "D": power_of_2(dim)}
    out = empty_rows((len(q), heads * dim), q, quantize)
    _store_few[(len(k),)](
        k, v, cos, sin, slots, ring_k, ring_v, len(k) // frames, k.stride(0), window, **sizes
    )
    _attend_few[(len(q),)](
        q, cos, sin, ring_k, ring_v, *out, len(q) // frames, q.stride(0), filled,
        WINDOW=window, SHARED=streams == 1, QUANTIZE=out.quantized, **sizes,
    )  # fmt: skip
    return out if quantize else out.values
