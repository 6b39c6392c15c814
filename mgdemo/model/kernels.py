"""Kernels in Triton, for what PyTorch and its libraries do slowly at the published sizes.

Two kinds. Those of the transformer read a row of the token stream once and do all that happens to it between
two matrix products; with 8 bits a number, the products too. Those of the decoder convolve frames that lie as
rows of pixels, [T, H + 2, W + 2, C], with a margin of one pixel: in such rows a tap of a kernel is the same
matrix a few rows further on, which the copy engine fetches without a thread asking where an edge is. What
stands in the margins is anybody's guess, except where a function says that it is zero.

All compute in float32 between reading and writing. TRITON_INTERPRET=1 runs them on a CPU, for tests.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

FP8 = torch.float8_e4m3fn
FP8_MAX = tl.constexpr(448.0)


class Rows(NamedTuple):
    """Rows [N, C] in e4m3, the scale [N, 1] of each, and the norm [N, 1] of what they stand for."""

    values: Tensor
    scale: Tensor
    norm: Tensor | None = None


class Tiles(NamedTuple):
    """How a product or a convolution is cut: rows, outputs in one or two parts, warps and stages."""

    rows: int
    first: int
    second: int  # 0: one part is enough
    warps: int
    stages: int


def power_of_2(n: int) -> int:
    return triton.next_power_of_2(n)


@cache
def hopper(device: torch.device) -> bool:
    return device.type != "cuda" or torch.cuda.get_device_capability(device) >= (9, 0)


@cache
def processors(device: torch.device) -> int:
    if device.type != "cuda":
        return 2  # the interpreter's: so few that each has several tiles
    return torch.cuda.get_device_properties(device).multi_processor_count


def _warps(width: int, quantise: bool = False) -> int:
    """For a row; found by trial on an H100. One alone finds a row's maximum without waiting for others."""
    return 1 if quantise else min(8, max(1, power_of_2(width) // 1024))


# The transformer's rows


@triton.jit
def _gelu(value):
    """Its tanh form, which is value * sigmoid(1.5957691 * (value + 0.044715 * value ** 3))."""
    return value / (1.0 + tl.exp2(value * (-2.302208198 - 0.1029432397 * value * value)))


@triton.jit
def _store_rows(values, out, scale, norm, row, c, mask, WIDTH, QUANTISE: tl.constexpr):
    if QUANTISE:
        step = tl.maximum(tl.max(tl.where(mask, tl.abs(values), 0.0)), 1e-12) / FP8_MAX
        tl.store(scale + row, step)
        values = tl.minimum(tl.maximum(values / step, -FP8_MAX), FP8_MAX)
    stored = values.to(out.dtype.element_ty)
    tl.store(out + row * WIDTH + c, stored, mask)
    if QUANTISE:
        kept = tl.where(mask, stored.to(tl.float32), 0.0)
        tl.store(norm + row, tl.sqrt(tl.sum(kept * kept)) * step)


@triton.jit
def _residual_norm(
    x, update, gate, gain, shift, out, scale, norm, tokens, per_frame, eps,
    WIDTH: tl.constexpr, UPDATE: tl.constexpr, GATED: tl.constexpr, MODULATED: tl.constexpr,
    NORMED: tl.constexpr, QUANTISE: tl.constexpr, BLOCK: tl.constexpr,
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
    if NORMED:
        away = tl.where(mask, value - tl.sum(value) / WIDTH, 0.0)
        normed = away * tl.rsqrt(tl.sum(away * away) / WIDTH + eps)
        if MODULATED:
            factor = 1.0 + tl.load(gain + frame * per_frame + c, mask, 0.0).to(tl.float32)
            normed = normed * factor + tl.load(shift + frame * per_frame + c, mask, 0.0).to(tl.float32)
        else:
            normed *= tl.load(gain + c, mask, 0.0).to(tl.float32)
            normed += tl.load(shift + c, mask, 0.0).to(tl.float32)
        _store_rows(normed, out, scale, norm, row, c, mask, WIDTH, QUANTISE)
    elif QUANTISE:
        _store_rows(value, out, scale, norm, row, c, mask, WIDTH, QUANTISE)


def residual_norm(
    x: Tensor,
    gain: Tensor,
    shift: Tensor,
    eps: float,
    *,
    update: Tensor | None = None,
    gate: Tensor | None = None,
    quantise: bool = False,
) -> Tensor | Rows:
    """x += gate * update, in place, and the layer norm of x [N, C] with a gain and a shift.

    They are [C], or [F, C], one a frame (of one stride, and so is `gate`): then the gain counts from 1.
    """
    rows, width = x.shape
    modulated = gain.ndim == 2
    out = _rows_like(x, quantise)
    frames = gain.shape[0] if modulated else gate.shape[0] if gate is not None else 1
    per_frame = gain.stride(0) if modulated else gate.stride(0) if gate is not None else 0
    _residual_norm[(rows,)](
        x, update, gate, gain, shift, *out, rows // frames, per_frame, eps,
        WIDTH=width, UPDATE=update is not None, GATED=gate is not None, MODULATED=modulated, NORMED=True,
        QUANTISE=quantise, BLOCK=power_of_2(width), num_warps=_warps(width, quantise),
    )  # fmt: skip
    return out if quantise else out.values


def residual(
    x: Tensor, update: Tensor, gate: Tensor | None = None, *, quantise: bool = False
) -> Tensor | Rows:
    """x += gate * update, in place, with gate [F, C] of a row's frame; returns x, or its rows in 8 bits."""
    rows, width = x.shape
    frames, per_frame = (1, 0) if gate is None else (len(gate), gate.stride(0))
    out = _rows_like(x, True) if quantise else Rows(x, None)
    _residual_norm[(rows,)](
        x, update, gate, None, None, *out, rows // frames, per_frame, 0.0,
        WIDTH=width, UPDATE=True, GATED=gate is not None, MODULATED=False, NORMED=False, QUANTISE=quantise,
        BLOCK=power_of_2(width), num_warps=_warps(width, quantise),
    )  # fmt: skip
    return out if quantise else x


def _rows_like(x: Tensor, quantise: bool) -> Rows:
    if not quantise:
        return Rows(torch.empty_like(x, memory_format=torch.contiguous_format), None, None)
    return Rows(torch.empty_like(x, dtype=FP8), *x.new_empty(2, len(x), 1, dtype=torch.float32))


@triton.jit
def _activated(
    x, added, out, scale, norm, tokens,
    WIDTH: tl.constexpr, ADD: tl.constexpr, GELU: tl.constexpr, QUANTISE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0)
    c = tl.arange(0, BLOCK)
    mask = c < WIDTH
    value = tl.load(x + row * WIDTH + c, mask, 0.0).to(tl.float32)
    if ADD:
        value += tl.load(added + (row // tokens) * WIDTH + c, mask, 0.0).to(tl.float32)
    if GELU:
        value = _gelu(value)
    _store_rows(value, out, scale, norm, row, c, mask, WIDTH, QUANTISE)


def activated(
    x: Tensor, *, added: Tensor | None = None, gelu: bool = False, quantise: bool = False
) -> Tensor | Rows:
    """Rows x [N, C], with `added` [F, C] of their frame, through GELU (tanh form)."""
    rows, width = x.shape
    out = _rows_like(x, quantise)
    _activated[(rows,)](
        x, added, *out, rows // len(added) if added is not None else 1,
        WIDTH=width, ADD=added is not None, GELU=gelu, QUANTISE=quantise,
        BLOCK=power_of_2(width), num_warps=_warps(width, quantise),
    )  # fmt: skip
    return out if quantise else out.values


@triton.jit
def _turned(even, odd, cos, sin, row, pair, PAIRS: tl.constexpr):
    """Pairs of channels rotated; `pair` counts them in their head, those from PAIRS on stay."""
    turns = pair < PAIRS
    c = tl.load(cos + row * PAIRS + pair, turns, 1.0)
    s = tl.load(sin + row * PAIRS + pair, turns, 0.0)
    return even * c - odd * s, even * s + odd * c


@triton.jit
def _normed_pairs(x, weight, eps, c, WIDTH: tl.constexpr, BLOCK: tl.constexpr):
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
        even, odd = _normed_pairs(here, weight_q, eps, c, WIDTH, BLOCK)
        even, odd = _turned(even, odd, cos, sin, row, pair, PAIRS)
        turned = tl.reshape(tl.join(even, odd), (BLOCK,))
        tl.store(q + row * WIDTH + c, turned.to(q.dtype.element_ty), mask)
    even, odd = _normed_pairs(here + WIDTH, weight_k, eps, c, WIDTH, BLOCK)
    even, odd = _turned(even, odd, cos, sin, row, pair, PAIRS)
    turned = tl.reshape(tl.join(even, odd), (BLOCK,))
    tl.store(ring_k + slot + c, turned.to(ring_k.dtype.element_ty), mask)
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

    Queries and keys are normed over their whole width and rotated by cos and sin [1, N, 1, P]. Without
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
def _normed_turned(
    value, cos, sin, frame,
    DIM: tl.constexpr, PAIRS: tl.constexpr, NORM: tl.constexpr, H: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Each head normed by itself (if NORM) and rotated by its frame's angles."""
    if NORM:
        value *= tl.rsqrt(tl.sum(value * value, 1) / DIM + 1e-6)[:, None]
    even, odd = tl.split(tl.reshape(value, (H, D // 2, 2)))
    pair = tl.arange(0, D // 2)[None, :]
    even, odd = _turned(even, odd, cos, sin, frame, pair, PAIRS)
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
    key = _normed_turned(key, cos, sin, frame, DIM, PAIRS, NORM, H, D)
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
    query = _normed_turned(query, cos, sin, frame, DIM, PAIRS, NORM, H, D) / DIM**0.5
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
    Queries and keys are normed, each head by itself, and rotated by their frame's cos and sin [F, P].
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


@triton.jit(do_not_specialize=["rows"])
def _product(
    x, weight, x_scale, weight_scale, bias, x_norm, out, out_scale, rows, max_norm, max_bias,
    WIDTH: tl.constexpr, OUTPUTS: tl.constexpr, GELU: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr, INPUTS: tl.constexpr, DESCRIBED: tl.constexpr,
):  # fmt: skip
    if not DESCRIBED:
        x = tl.make_tensor_descriptor(x, [rows, WIDTH], [WIDTH, 1], [ROWS, INPUTS])
        weight = tl.make_tensor_descriptor(weight, [OUTPUTS, WIDTH], [WIDTH, 1], [COLUMNS, INPUTS])
    # A program makes tile after tile: it begins to read the next one's while it finishes one. Those of one
    # column are made at the same time, so that its weights are read from memory once.
    down = tl.cdiv(rows, ROWS)
    across: tl.constexpr = (OUTPUTS + COLUMNS - 1) // COLUMNS
    for tile in tl.range(tl.program_id(0), down * across, tl.num_programs(0), flatten=True):
        row, column = tile % down * ROWS, tile // down * COLUMNS
        acc = tl.zeros((ROWS, COLUMNS), tl.float32)
        for c in tl.range(0, WIDTH, INPUTS):
            acc = tl.dot(x.load([row, c]), weight.load([column, c]).T, acc)
        n, m = row + tl.arange(0, ROWS), column + tl.arange(0, COLUMNS)
        known, mine = n < rows, m < OUTPUTS
        acc *= tl.load(x_scale + n, known, 0.0)[:, None] * tl.load(weight_scale + m, mine, 0.0)[None, :]
        if bias is not None:
            acc += tl.load(bias + m, mine, 0.0).to(tl.float32)[None, :]
        if GELU:
            step = tl.maximum(tl.load(x_norm + n, known, 0.0) * max_norm + max_bias, 1e-12) / FP8_MAX
            if column == 0:
                tl.store(out_scale + n, step, known)
            acc = _gelu(acc) * (1.0 / step)[:, None]
        to = n.to(tl.int64)[:, None] * OUTPUTS + m[None, :]
        tl.store(out + to, acc.to(out.dtype.element_ty), known[:, None] & mine[None, :])


class Linear(NamedTuple):
    """A linear layer's weight [M, K] in e4m3 and bias [M], as `product` reads them; the type of its results.

    No output exceeds max_norm, of an output's weights, times the norm of the row, plus max_bias.
    """

    weight: Rows
    bias: Tensor | None
    dtype: torch.dtype
    max_norm: float
    max_bias: float

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> Linear:
        rows = activated(weight.contiguous(), quantise=True)
        max_bias = 0.0 if bias is None else float(bias.abs().max())
        return cls(rows, bias, weight.dtype, float(rows.norm.max()), max_bias)


def product_tiles(hopper: bool = True) -> Tiles:
    """Found by trial on an H100; other GPUs have less room for what is on its way."""
    return Tiles(128, 256, 0, 8, 3) if hopper else Tiles(128, 128, 0, 8, 3)


def product(x: Rows, linear: Linear, *, gelu: bool = False, tiles: Tiles | None = None) -> Tensor | Rows:
    """Rows x [N, K] through a linear layer, [N, M]; with `gelu` (tanh form) they are rows in e4m3 again.

    The scale of those is from a bound, not from their maximum, which nobody knows yet when a tile is done:
    that costs a few of e4m3's 18 binades, and no precision.
    """
    values, weight = x.values, linear.weight.values
    (rows, width), outputs = values.shape, len(weight)
    described = hopper(values.device)  # others have no copy engine, and want strides that are constants
    tiles = tiles or product_tiles(described)
    inputs = 128  # the copy engine likes 128 bytes
    out = values.new_empty(rows, outputs, dtype=FP8 if gelu else linear.dtype)
    scale = torch.empty_like(x.scale) if gelu else None
    sources = values, weight
    if described:
        blocks = [tiles.rows, inputs], [tiles.first, inputs]
        sources = map(TensorDescriptor.from_tensor, sources, blocks)
    count = triton.cdiv(rows, tiles.rows) * triton.cdiv(outputs, tiles.first)
    _product[(min(count, processors(values.device)),)](
        *sources, x.scale, linear.weight.scale, linear.bias, x.norm, out, scale, rows, linear.max_norm,
        linear.max_bias, WIDTH=width, OUTPUTS=outputs, GELU=gelu, ROWS=tiles.rows, COLUMNS=tiles.first,
        INPUTS=inputs, DESCRIBED=described, num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip
    return Rows(out, scale) if gelu else out


# The decoder's rows of pixels


@triton.jit
def _scaled(value, factor, gamma, SILU: tl.constexpr):
    value *= factor[:, None] * gamma.to(tl.float32)[None, :]
    return value * tl.sigmoid(value) if SILU else value


@triton.jit
def _store_twice(out, kept, at, again, known, late, value):
    """Write pixels, and once more those of the last frames."""
    tl.store(out + at, value.to(out.dtype.element_ty), known)
    if kept is not None:
        tl.store(kept + again, value.to(out.dtype.element_ty), known & late)


@triton.jit(do_not_specialize=["rows", "height", "width", "late"])
def _pixel_norm(
    x, gamma, out, kept, rows, height, width, late,
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
    one = _scaled(one, factor, tl.load(gamma + c), SILU)
    _store_twice(out, kept, at, again, known, last, one)
    if CHANNELS > C:
        two = _scaled(two, factor, tl.load(gamma + C + c), SILU)
        _store_twice(out, kept, at + C, again + C, known, last, two)
        three = _scaled(three, factor, tl.load(gamma + 2 * C + c), SILU)
        _store_twice(out, kept, at + 2 * C, again + 2 * C, known, last, three)


def pixel_norm(x: Tensor, gamma: Tensor, *, silu: bool = True, kept: Tensor | None = None) -> Tensor:
    """L2 norm over the channels of frames [T, H + 2, W + 2, C], times sqrt(C) and gamma [C]; zero margins.

    C is a power of 2, or 3 times one. The last frames are written to `kept`, too, as many as it holds.
    """
    frames, height, width, channels = x.shape
    out, rows = torch.empty_like(x), frames * height * width
    late = rows if kept is None else rows - len(kept) * height * width
    c = channels // 3 if channels % 3 == 0 else channels
    block = max(1, 2048 // c)
    _pixel_norm[(triton.cdiv(rows, block),)](
        x, gamma, out, kept, rows, height - 2, width - 2, late,
        CHANNELS=channels, C=c, SILU=silu, BLOCK=block, num_warps=8 if c <= 64 else 4,
    )  # fmt: skip
    return out


def tiles_for(outputs: int, pixels: int, hopper: bool = True) -> Tiles:
    """Found by trial on an H100; other GPUs have less room for what is on its way."""
    if outputs <= 64:
        return Tiles(128, max(16, power_of_2(outputs)), 0, 4, 3)
    if outputs == 96:
        return Tiles(128, 64, 32, 4, 4 if hopper else 3)
    if not hopper:
        return Tiles(128, 64, 0, 4, 3)
    if outputs == 192:
        return Tiles(256, 128, 64, 8, 3)
    if outputs % 192 == 0 and pixels > 40_000:
        return Tiles(128, 128, 64, 8, 3)
    return Tiles(256, 128, 0, 8, 3)


@triton.jit
def _accumulate(
    acc, more, source, weight, other, row, column, FRAME, WP, above, left, begin, end,
    CHANNELS: tl.constexpr, FROM: tl.constexpr, PARTS: tl.constexpr, INPUTS: tl.constexpr,
    TALL: tl.constexpr, WIDE: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Add taps begin to end of a kernel, for PARTS times INPUTS channels of the input, counted from FROM."""
    for i in tl.range(begin * PARTS, end * PARTS):
        tap, c = i // PARTS, FROM + (i % PARTS) * INPUTS
        t, y, x = tap // (TALL * WIDE), (tap // WIDE) % TALL, tap % WIDE
        pixels = source.load([row + t * FRAME + (y - above) * WP + (x - left), c])
        k = tap * CHANNELS + c
        acc = tl.dot(pixels, weight.load([column, k]).T, acc, input_precision=PRECISION)
        if SECOND:
            more = tl.dot(pixels, other.load([column + FIRST, k]).T, more, input_precision=PRECISION)
    return acc, more


@triton.jit
def _keep(
    acc, bias, skip, out, t, pixel, column, frames, FRAME, WP, height, width, py, px,
    OUTPUTS: tl.constexpr, SKIP: tl.constexpr, SHAPE: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Write a tile [pixels, N] where it belongs."""
    n = column + tl.arange(0, N)
    if bias is not None:
        acc += tl.load(bias + n, n < OUTPUTS, 0.0).to(tl.float32)[None, :]
    rows = pixel < FRAME
    if SHAPE == "planes":  # [channels, rows]
        to = n[None, :].to(tl.int64) * (frames * FRAME) + (t * FRAME + pixel)[:, None]
    elif SHAPE == "pairs":  # the first half of the channels is the earlier frame of two
        half: tl.constexpr = OUTPUTS // 2
        frame = 2 * t + n[None, :] // half
        to = (frame * FRAME + pixel[:, None]).to(tl.int64) * half + n[None, :] % half
    elif SHAPE == "larger":  # every second pixel, each way, of a picture twice as large
        y, x = pixel // WP - 1, pixel % WP - 1
        rows = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        at = (t * (2 * height + 2) + 2 * y + py + 1) * (2 * width + 2) + 2 * x + px + 1
        to = at[:, None].to(tl.int64) * OUTPUTS + n[None, :]
    else:
        to = (t * FRAME + pixel)[:, None].to(tl.int64) * OUTPUTS + n[None, :]
    mask = rows[:, None] & (n < OUTPUTS)[None, :]
    if SKIP:
        acc += tl.load(skip + to, mask, 0.0).to(tl.float32)
    tl.store(out + to, acc.to(out.dtype.element_ty), mask)


@triton.jit(do_not_specialize=["frames", "tiles", "FRAME", "WP", "height", "width"])
def _convolve(
    new, past, weight, other, new_rest, past_rest, weight_rest, other_rest, bias, skip, out,
    frames, tiles, FRAME, WP, height, width,
    CHANNELS: tl.constexpr, OUTPUTS: tl.constexpr, LONG: tl.constexpr, TALL: tl.constexpr,
    WIDE: tl.constexpr, SKIP: tl.constexpr, SHAPE: tl.constexpr, PIXELS: tl.constexpr,
    FIRST: tl.constexpr, SECOND: tl.constexpr, INPUTS: tl.constexpr, REST: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    column, tile = tl.program_id(0) * (FIRST + SECOND), tl.program_id(1)
    t, corner = tile // tiles, (tile % tiles) * PIXELS
    py, px, above, left, place = 0, 0, TALL // 2, WIDE // 2, column
    if SHAPE == "larger":
        py, px = tl.program_id(2) // 2, tl.program_id(2) % 2
        above, left, place = 1 - py, 1 - px, column + tl.program_id(2) * OUTPUTS
    acc = tl.zeros((PIXELS, FIRST), tl.float32)
    more = tl.zeros((PIXELS, SECOND if SECOND else 16), tl.float32)
    row = t * FRAME + corner
    whole: tl.constexpr = CHANNELS // INPUTS
    taps: tl.constexpr = LONG * TALL * WIDE
    old = 0  # taps on frames of the piece before
    if LONG > 1:
        old = tl.maximum(LONG - 1 - t, 0) * TALL * WIDE
        acc, more = _accumulate(
            acc, more, past, weight, other, row, place, FRAME, WP, above, left, 0, old,
            CHANNELS, 0, whole, INPUTS, TALL, WIDE, FIRST, SECOND, PRECISION,
        )  # fmt: skip
        if REST:
            acc, more = _accumulate(
                acc, more, past_rest, weight_rest, other_rest, row, place, FRAME, WP, above, left, 0, old,
                CHANNELS, whole * INPUTS, 1, REST, TALL, WIDE, FIRST, SECOND, PRECISION,
            )  # fmt: skip
        row -= (LONG - 1) * FRAME
    acc, more = _accumulate(
        acc, more, new, weight, other, row, place, FRAME, WP, above, left, old, taps,
        CHANNELS, 0, whole, INPUTS, TALL, WIDE, FIRST, SECOND, PRECISION,
    )  # fmt: skip
    if REST:
        acc, more = _accumulate(
            acc, more, new_rest, weight_rest, other_rest, row, place, FRAME, WP, above, left, old, taps,
            CHANNELS, whole * INPUTS, 1, REST, TALL, WIDE, FIRST, SECOND, PRECISION,
        )  # fmt: skip
    pixel = corner + tl.arange(0, PIXELS)
    _keep(
        acc, bias, skip, out, t, pixel, column, frames, FRAME, WP, height, width, py, px,
        OUTPUTS, SKIP, SHAPE, FIRST,
    )  # fmt: skip
    if SECOND:
        _keep(
            more, bias, skip, out, t, pixel, column + FIRST, frames, FRAME, WP, height, width, py, px,
            OUTPUTS, SKIP, SHAPE, SECOND,
        )  # fmt: skip


class Kernel(NamedTuple):
    """A convolution's weights as `convolve` reads them: [outputs, taps * inputs], and its extent in taps.

    Those of a picture twice as large are [4 * outputs, 4 * inputs], one set for each phase of its pixels.
    """

    weight: Tensor
    bias: Tensor | None
    outputs: int
    extent: tuple[int, int, int]

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> Kernel:
        """From a convolution's weight [outputs, inputs, T, H, W]."""
        rows = weight.permute(0, 2, 3, 4, 1).flatten(1).contiguous()
        return cls(rows, bias, len(weight), tuple(weight.shape[2:]))

    @classmethod
    def of_larger(cls, weight: Tensor, bias: Tensor) -> Kernel:
        """From the weight [outputs, inputs, 3, 3] of one that follows nearest-neighbour doubling.

        Every pixel there is one of four phases, and sees 2x2 pixels of the picture before, some of them
        through the sum of several weights.
        """
        sums = weight.new_tensor([[[1, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]]).float()  # [phase, tap, 3]
        phases = torch.einsum("oiyx,pay,qbx->pqoabi", weight.float(), sums, sums)
        rows = phases.flatten(3).flatten(0, 2).to(weight.dtype).contiguous()
        return cls(rows, bias, len(weight), (1, 2, 2))


def convolve(
    new: Tensor,
    past: Tensor | None,
    kernel: Kernel,
    *,
    skip: Tensor | None = None,
    shape: str = "same",
    dtype: torch.dtype | None = None,
    tiles: Tiles | None = None,
) -> Tensor:
    """Convolve frames [T, H + 2, W + 2, C], margins zero, that follow others [T' - 1, H + 2, W + 2, C].

    The result, to which `skip` is added, is laid out as `shape` says: "same" as the input; "pairs", for 2T
    frames of half as many channels; "larger", for frames twice as high and wide; or "planes", that is
    [C, T, H + 2, W + 2].
    """
    frames, hp, wp, channels = new.shape
    long, tall, wide = kernel.extent
    tiles = tiles or tiles_for(kernel.outputs, frames * hp * wp, hopper(new.device))
    # In two parts where 64 does not divide the channels: the copy engine likes 128 bytes.
    inputs = 64 if channels >= 64 else channels
    rest = channels % inputs
    sizes = {
        "same": (frames, hp, wp, kernel.outputs),
        "pairs": (2 * frames, hp, wp, kernel.outputs // 2),
        "larger": (frames, 2 * hp - 2, 2 * wp - 2, kernel.outputs),
        "planes": (kernel.outputs, frames, hp, wp),
    }
    out = new.new_empty(sizes[shape], dtype=dtype)
    per_frame = triton.cdiv(hp * wp, tiles.rows)

    def read(t: Tensor | None, rows: int, columns: int) -> TensorDescriptor | None:
        if t is None or not (rows and columns):
            return None
        return TensorDescriptor.from_tensor(t.view(-1, t.shape[-1]), [rows, columns])

    grid = (triton.cdiv(kernel.outputs, tiles.first + tiles.second), frames * per_frame)
    _convolve[(*grid, 4 if shape == "larger" else 1)](
        *(
            read(*what, columns)
            for columns in (inputs, rest)
            for what in (
                (new, tiles.rows),
                (past, tiles.rows),
                (kernel.weight, tiles.first),
                (kernel.weight, tiles.second),
            )
        ),
        kernel.bias, skip, out, frames, per_frame, hp * wp, wp, hp - 2, wp - 2,
        CHANNELS=channels, OUTPUTS=kernel.outputs, LONG=long, TALL=tall, WIDE=wide, SKIP=skip is not None,
        SHAPE=shape, PIXELS=tiles.rows, FIRST=tiles.first, SECOND=tiles.second, INPUTS=inputs, REST=rest,
        PRECISION="ieee" if new.dtype == torch.float32 else "tf32",
        num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip
    return out


@triton.jit(do_not_specialize=["frames", "height", "width", "FRAME"])
def _gather(
    planes, bias, out, frames, height, width, FRAME,
    OUTPUTS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    t = tl.program_id(1)
    mask = pixel < height * width
    y, x = pixel // width, pixel % width
    for c in tl.static_range(OUTPUTS):
        total = tl.zeros((BLOCK,), tl.float32) + tl.load(bias + c).to(tl.float32)
        for tap in tl.static_range(9):
            at = t * FRAME + (y + tap // 3) * (width + 2) + x + tap % 3
            plane = planes + tl.cast(tap * OUTPUTS + c, tl.int64) * (frames * FRAME)
            total += tl.load(plane + at, mask, 0.0)
        to = tl.cast(c * frames + t, tl.int64) * (height * width) + pixel
        tl.store(out + to, total.to(out.dtype.element_ty), mask)


def few_outputs(new: Tensor, past: Tensor, kernel: Kernel, bias: Tensor) -> Tensor:
    """A 3x3x3 convolution with few outputs [1, outputs, T, H, W].

    So few that its taps in space count as outputs (in `kernel`, whose extent is that in time): the input is
    read three times instead of 27. What they make of a pixel then goes to its neighbours.
    """
    frames, hp, wp, _ = new.shape
    planes = convolve(new, past, kernel, shape="planes", dtype=torch.float32)
    outputs, height, width = len(bias), hp - 2, wp - 2
    out = new.new_empty(1, outputs, frames, height, width)
    block = 256
    _gather[(triton.cdiv(height * width, block), frames)](
        planes, bias, out, frames, height, width, hp * wp, OUTPUTS=outputs, BLOCK=block, num_warps=4
    )
    return out


def taps_as_outputs(weight: Tensor) -> Kernel:
    """The `kernel` of `few_outputs`, from a convolution's weight [outputs, inputs, 3, 3, 3]."""
    apart = weight.permute(3, 4, 0, 1, 2).flatten(0, 2)[..., None, None]  # [9 * outputs, inputs, 3, 1, 1]
    return Kernel.of(apart, None)
