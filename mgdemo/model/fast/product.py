"""A Triton kernel for matrix products in 8 bits: int8, or e4m3."""

# Triton's compiler gives its functions signatures that no type checker knows.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportGeneralTypeIssues=false, reportPossiblyUnboundVariable=false, reportOptionalMemberAccess=false

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from mgdemo.model.fast.rows import FP8, FP8_MAX, INT8, Rows, activated, gelu_tanh
from mgdemo.model.fast.tiles import Tiles, has_copy_engine, has_room, processors


@triton.jit(do_not_specialize=["rows"])
def _product(
    x, weight, x_scale, weight_scale, bias, x_norm, out, out_scale, rows, max_norm, max_bias,
    WIDTH: tl.constexpr, OUTPUTS: tl.constexpr, GELU: tl.constexpr, ROWS: tl.constexpr,
    COLUMNS: tl.constexpr, INPUTS: tl.constexpr, DESCRIBED: tl.constexpr,
    INTEGER: tl.constexpr,
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
        SUM: tl.constexpr = tl.int32 if INTEGER else tl.float32  # pyright: ignore[reportAssignmentType]
        sums = tl.zeros((ROWS, COLUMNS), SUM)
        for c in tl.range(0, WIDTH, INPUTS):
            sums = tl.dot(x.load([row, c]), weight.load([column, c]).T, sums, out_dtype=SUM)
        n, m = row + tl.arange(0, ROWS), column + tl.arange(0, COLUMNS)
        known, mine = n < rows, m < OUTPUTS
        units = tl.load(x_scale + n, known, 0.0)[:, None] * tl.load(weight_scale + m, mine, 0.0)[None, :]
        acc = sums.to(tl.float32) * units
        if bias is not None:
            acc += tl.load(bias + m, mine, 0.0).to(tl.float32)[None, :]
        if GELU:
            step = tl.maximum(tl.load(x_norm + n, known, 0.0) * max_norm + max_bias, 1e-12) / FP8_MAX
            if column == 0:
                tl.store(out_scale + n, step, known)
            acc = gelu_tanh(acc) * (1.0 / step)[:, None]
        to = n.to(tl.int64)[:, None] * OUTPUTS + m[None, :]
        tl.store(out + to, acc.to(out.dtype.element_ty), known[:, None] & mine[None, :])


class EightBitWeights(NamedTuple):
    """A linear layer's weight [M, K] in 8 bits and bias [M], as `product` reads them; and its results' type.

    No output exceeds max_norm (the largest norm of one output's weights) times the row's norm, plus max_bias.
    """

    weight: Rows
    bias: Tensor | None
    dtype: torch.dtype
    max_norm: float
    max_bias: float

    @classmethod
    def from_weight(cls, weight: Tensor, bias: Tensor | None, dtype: torch.dtype = INT8) -> EightBitWeights:
        """For rows of this type, int8 or e4m3."""
        rows = cast(Rows, activated(weight.contiguous(), quantize=dtype))
        max_bias = 0.0 if bias is None else float(bias.abs().max())
        return cls(rows, bias, weight.dtype, float(rows.norm.max()), max_bias)


def product_tiles(large: bool = True) -> Tiles:
    """Found by trial on an H100; `large`: where there is room for what is on its way, as there."""
    return Tiles(128, 256, 0, 8, 3) if large else Tiles(128, 128, 0, 8, 3)


def product(
    x: Rows, linear: EightBitWeights, *, gelu: bool = False, tiles: Tiles | None = None
) -> Tensor | Rows:
    """Rows x [N, K] through a linear layer, [N, M]; with `gelu` (tanh form) they are rows in e4m3.

    The scale of those is from a bound, not from their maximum, which nobody knows yet when a tile is done:
    that costs a few of e4m3's 18 binades, and no precision. In int8 it would.
    """
    values, weight = x.values, linear.weight.values
    (rows, width), outputs = values.shape, len(weight)
    described = has_copy_engine(values.device)  # others want strides that are constants
    tiles = tiles or product_tiles(has_room(values.device))
    inputs = 128  # the copy engine likes 128 bytes
    out = values.new_empty(rows, outputs, dtype=FP8 if gelu else linear.dtype)
    scale = values.new_empty(rows, 1, dtype=torch.float32) if gelu else None
    sources = values, weight
    if described:
        blocks = [tiles.rows, inputs], [tiles.first, inputs]
        sources = map(TensorDescriptor.from_tensor, sources, blocks)
    count = triton.cdiv(rows, tiles.rows) * triton.cdiv(outputs, tiles.first)
    _product[(min(count, processors(values.device)),)](
        *sources, x.scale, linear.weight.scale, linear.bias, x.norm, out, scale, rows, linear.max_norm,
        linear.max_bias, WIDTH=width, OUTPUTS=outputs, GELU=gelu, ROWS=tiles.rows, COLUMNS=tiles.first,
        INPUTS=inputs, DESCRIBED=described, INTEGER=values.dtype == INT8,
        num_warps=tiles.warps, num_stages=tiles.stages,
    )  # fmt: skip
    return Rows(out, scale) if gelu else out
