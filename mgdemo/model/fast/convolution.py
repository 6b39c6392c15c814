"""A Triton kernel for the convolutions of the VAE's decoder, on frames that lie as rows of pixels.

Such frames are [T, H + 2, W + 2, C], with a margin of one pixel: in such rows a tap of a kernel is the same
matrix a few rows further on, which the copy engine fetches without a thread asking where an edge is. What
stands in the margins is undefined, except where a function says that it is zero.
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
from triton.tools.tensor_descriptor import TensorDescriptor

from mgdemo.model.fast.pixel_norm import Code
from mgdemo.model.fast.tiles import Tiles, has_room, power_of_2


def tiles_for(outputs: int, pixels: int, large: bool = True, eight: bool = False) -> Tiles:
    """Found by trial on an H100; `large`: where there is room for what is on its way, as there."""
    if eight and large and outputs == 96:
        return Tiles(128, 64, 32, 4, 4)
    if eight and large and outputs > 192:
        return Tiles(256, 128, 0, 8, 3) if pixels > 40_000 else Tiles(128, 128, 64, 8, 3)
    if outputs <= 64:
        return Tiles(128, max(16, power_of_2(outputs)), 0, 4, 3)
    if outputs == 96:
        return Tiles(128, 64, 32, 4, 4 if large else 3)
    if not large:
        return Tiles(128, 64, 0, 4, 3)
    if outputs == 192:
        return Tiles(256, 128, 64, 8, 3)
    if outputs % 192 == 0 and pixels > 40_000:
        return Tiles(128, 128, 64, 8, 3)
    return Tiles(256, 128, 0, 8, 3)


@triton.jit
def _accumulate(
    acc, more, source, weight, other, row, column, FRAME, WP, above, left, begin, end,
    SPAN: tl.constexpr, FROM: tl.constexpr, PARTS: tl.constexpr, INPUTS: tl.constexpr,
    TALL: tl.constexpr, WIDE: tl.constexpr, FIRST: tl.constexpr, SECOND: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """Add taps begin to end of a kernel, for PARTS times INPUTS columns of the input, counted from FROM."""
    for i in tl.range(begin * PARTS, end * PARTS):
        tap, c = i // PARTS, FROM + (i % PARTS) * INPUTS
        t, y, x = tap // (TALL * WIDE), (tap // WIDE) % TALL, tap % WIDE
        pixels = source.load([row + t * FRAME + (y - above) * WP + (x - left), c])
        k = tap * SPAN + c
        acc = tl.dot(pixels, weight.load([column, k]).T, acc, input_precision=PRECISION, out_dtype=acc.dtype)
        if SECOND:
            there = other.load([column + FIRST, k]).T
            more = tl.dot(pixels, there, more, input_precision=PRECISION, out_dtype=more.dtype)
    return acc, more


@triton.jit
def _keep(
    acc, scale, bias, skip, out, t, pixel, column, frames, FRAME, WP, height, width, py, px,
    OUTPUTS: tl.constexpr, SKIP: tl.constexpr, SHAPE: tl.constexpr, N: tl.constexpr,
):  # fmt: skip
    """Write a tile [pixels, N] where it belongs."""
    n = column + tl.arange(0, N)
    if scale is not None:
        acc = acc.to(tl.float32) * tl.load(scale + n, n < OUTPUTS, 0.0)[None, :]
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
    new, past, weight, other, new_rest, past_rest, weight_rest, other_rest, scale, bias, skip, out,
    frames, tiles, FRAME, WP, height, width,
    SPAN: tl.constexpr, OUTPUTS: tl.constexpr, LONG: tl.constexpr, TALL: tl.constexpr,
    WIDE: tl.constexpr, LEFT: tl.constexpr, SKIP: tl.constexpr, SHAPE: tl.constexpr, PIXELS: tl.constexpr,
    FIRST: tl.constexpr, SECOND: tl.constexpr, INPUTS: tl.constexpr, REST: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    column, tile = tl.program_id(0) * (FIRST + SECOND), tl.program_id(1)
    t, corner = tile // tiles, (tile % tiles) * PIXELS
    py, px, above, left, place = 0, 0, TALL // 2, LEFT, column
    if SHAPE == "larger":
        py, px = tl.program_id(2) // 2, tl.program_id(2) % 2
        above, left, place = 1 - py, 1 - px, column + tl.program_id(2) * OUTPUTS
    TYPE: tl.constexpr = tl.float32 if scale is None else tl.int32  # pyright: ignore[reportAssignmentType]
    acc = tl.zeros((PIXELS, FIRST), TYPE)
    more = tl.zeros((PIXELS, SECOND if SECOND else 16), TYPE)
    row = t * FRAME + corner
    whole: tl.constexpr = SPAN // INPUTS
    taps: tl.constexpr = LONG * TALL * WIDE
    old = 0  # taps on frames of the piece before
    if LONG > 1:
        old = tl.maximum(LONG - 1 - t, 0) * TALL * WIDE
        acc, more = _accumulate(
            acc, more, past, weight, other, row, place, FRAME, WP, above, left, 0, old,
            SPAN, 0, whole, INPUTS, TALL, WIDE, FIRST, SECOND, PRECISION,
        )  # fmt: skip
        if REST:
            acc, more = _accumulate(
                acc, more, past_rest, weight_rest, other_rest, row, place, FRAME, WP, above, left, 0, old,
                SPAN, whole * INPUTS, 1, REST, TALL, WIDE, FIRST, SECOND, PRECISION,
            )  # fmt: skip
        row -= (LONG - 1) * FRAME
    acc, more = _accumulate(
        acc, more, new, weight, other, row, place, FRAME, WP, above, left, old, taps,
        SPAN, 0, whole, INPUTS, TALL, WIDE, FIRST, SECOND, PRECISION,
    )  # fmt: skip
    if REST:
        acc, more = _accumulate(
            acc, more, new_rest, weight_rest, other_rest, row, place, FRAME, WP, above, left, old, taps,
            SPAN, whole * INPUTS, 1, REST, TALL, WIDE, FIRST, SECOND, PRECISION,
        )  # fmt: skip
    pixel = corner + tl.arange(0, PIXELS)
    _keep(
        acc, scale, bias, skip, out, t, pixel, column, frames, FRAME, WP, height, width, py, px,
        OUTPUTS, SKIP, SHAPE, FIRST,
    )  # fmt: skip
    if SECOND:
        _keep(
            more, scale, bias, skip, out, t, pixel, column + FIRST, frames, FRAME, WP, height, width, py, px,
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
    scale: Tensor | None = None  # [outputs] of one unit of the products, where the weights are int8

    @classmethod
    def in_eight_bits(cls, weight: Tensor, bias: Tensor, code: Code) -> Kernel:
        """As `from_weight`, for inputs in this code. What its zero adds to every output is in the bias."""
        rows = weight.permute(0, 2, 3, 4, 1).flatten(1).float()
        step = rows.abs().amax(1, keepdim=True).clamp_min(1e-12) / 127
        codes = (rows / step).round()
        scale = (step[:, 0] * code.step).contiguous()
        bias = bias.float() - code.zero * scale * codes.sum(1)
        return cls(codes.to(torch.int8), bias, len(weight), tuple(weight.shape[2:]), scale)

    @classmethod
    def from_weight(cls, weight: Tensor, bias: Tensor | None) -> Kernel:
        """From a convolution's weight [outputs, inputs, T, H, W]."""
        rows = weight.permute(0, 2, 3, 4, 1).flatten(1).contiguous()
        return cls(rows, bias, len(weight), tuple(weight.shape[2:]))

    @classmethod
    def from_upsample(cls, weight: Tensor, bias: Tensor) -> Kernel:
        """From the weight [outputs, inputs, 3, 3] of one that follows nearest-neighbor doubling.

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
    """Convolve frames [T, H + 2, W + 2, C], margins zero, that follow others [T' - 1, H + 2, W + 2, C], with
    a kernel that is T' frames long.

    The result, to which `skip` is added, is laid out as `shape` says: "same" as the input; "pairs", for 2T
    frames of half as many channels; "larger", for frames twice as high and wide; or "planes", that is
    [C, T, H + 2, W + 2].
    """
    frames, hp, wp, channels = new.shape
    long, tall, wide = kernel.extent
    eight = new.dtype == torch.int8
    tiles = tiles or tiles_for(kernel.outputs, frames * hp * wp, has_room(new.device), eight)
    # A pixel's neighbors lie beside it: where that pays, a kernel's whole width is one run of columns.
    run = wide if shape != "larger" and (eight or channels >= 192) else 1
    span = run * channels
    # In two parts where 128 bytes, which the copy engine likes, do not divide the columns.
    inputs = min(128 if eight else 64, 1 << (span.bit_length() - 1))
    rest = span % inputs
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
        if t is kernel.weight:
            return TensorDescriptor.from_tensor(t, [rows, columns])
        count = t.numel() // channels - run + 1
        return TensorDescriptor(t, [count, span], [channels, 1], [rows, columns])

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
        kernel.scale, kernel.bias, skip, out, frames, per_frame, hp * wp, wp, hp - 2, wp - 2,
        SPAN=span, OUTPUTS=kernel.outputs, LONG=long, TALL=tall, WIDE=wide // run, LEFT=wide // 2,
        SKIP=skip is not None,
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
    read three times instead of 27. What they make of a pixel then goes to its neighbors.
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
    return Kernel.from_weight(apart, None)
