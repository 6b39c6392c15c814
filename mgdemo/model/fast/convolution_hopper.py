"""Most of the decoder's convolutions on Hopper GPUs, in CUDA C++ (`convolution_hopper.cu`).

Triton cuts what the tensor cores multiply at once to a power of 2 of columns, and these have multiples of 96.
It also fetches a pixel again for each tap that reads it.
"""

from __future__ import annotations

import logging
from functools import cache
from math import prod
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import torch
from torch import Tensor

from mgdemo.model.fast.convolution import Kernel, convolve
from mgdemo.model.fast.nvrtc import Function, NvrtcError, compiled, tensor_map
from mgdemo.model.fast.tiles import processors

log = logging.getLogger(__name__)

SAME, LARGER = (3, 3, 3), (1, 2, 2)  # extents of kernels
ACROSS = 64  # pixels of a strip, as in the source
SOURCE = Path(__file__).with_suffix(".cu")
SHARED = 227 * 1024  # bytes that a thread block may have
FLAT_UP_TO = 200  # pixels in a row; the halos of flat tiles grow with them
LOADS = 10  # of weights, for which there should be room before there is any for a third halo
OVERHEAD = 0.5  # of a tile, in strips of 96 columns: fetching more for each, starting and writing

_lock = Lock()  # so that no kernel is compiled twice


class Cut(NamedTuple):
    """How the kernel cuts its work; its source says what the words mean."""

    larger: int
    eight: int
    inputs: int
    outputs: int
    columns: int
    rows: int
    consumers: int
    pitch: int
    group: int
    part: int
    stagger: int

    @property
    def strips(self) -> int:
        return self.rows * self.consumers

    @property
    def threads(self) -> int:
        return 128 * (self.consumers + 1)

    @property
    def boxes(self) -> tuple[int, int, int]:
        """How many boxes a halo is fetched in, and their rows and pixels."""
        if not self.pitch:
            return 1, self.strips + 2, ACROSS + 2
        halo = self.strips * ACROSS + 2 * self.pitch + 2
        count = halo // 248 + 1
        return count, 1, (halo // count + 8) // 8 * 8

    @property
    def halo_bytes(self) -> int:
        count, rows, pixels = self.boxes
        return self.group // self.part * -(-count * rows * pixels * self.part // 1024) * 1024

    @property
    def halos(self) -> int:
        return 3 if SHARED - 3 * self.halo_bytes > LOADS * self.columns * self.group else 2

    @property
    def weights(self) -> int:
        left = SHARED - self.halos * self.halo_bytes - 8 * self.outputs - 512
        return min(16, left // (self.columns * self.group))

    @property
    def shared(self) -> int:
        """Bytes of shared memory."""
        ends = 8 * self.outputs + 16 * (self.halos + self.weights)
        return self.halos * self.halo_bytes + self.weights * self.columns * self.group + ends

    @property
    def sharing(self) -> int:
        """Tiles that read the same pixels: of different outputs, or of the four pixels that one becomes."""
        return (4 if self.larger else 1) * self.outputs // self.columns

    def tiles(self, frames: int, height: int, width: int) -> int:
        if self.pitch:
            per_frame = -(-height * (width + 2) // (self.strips * ACROSS))
        else:
            per_frame = -(-height // self.strips) * -(-width // ACROSS)
        return frames * per_frame * self.sharing

    def constants(self) -> dict[str, int]:
        """What the source has to know."""
        given = {name.upper(): value for name, value in self._asdict().items()}
        return {**given, "HALOS": self.halos, "WEIGHTS": self.weights}


def layout(dtype: torch.dtype, inputs: int, outputs: int) -> tuple[int, int, int]:
    """Columns, group and part of a convolution's cuts."""
    group, part = (64, 64) if inputs * dtype.itemsize % 64 == 0 else (96, 32)
    return 192 if outputs == 192 else 96, group, part


@cache
def cut_for(
    dtype: torch.dtype,
    inputs: int,
    outputs: int,
    size: tuple[int, int, int],
    processors: int,
    larger: bool = False,
) -> Cut:
    """For frames of a size [T, H, W]: the cut with which all processors are done soonest."""
    columns, group, part = layout(dtype, inputs, outputs)
    eight, width = int(dtype == torch.int8), size[2]
    most = 2 if columns == 192 else 3 if eight else 4  # strips whose sums fit into registers
    pitches = (0, width + 2) if width + 2 <= FLAT_UP_TO else (0,)
    cuts = (
        Cut(int(larger), eight, inputs, outputs, columns, rows, 2, pitch, group, part, 5)
        for rows in range(most, 0, -1)
        for pitch in pitches
    )

    def seconds(cut: Cut) -> float:
        """In units of what a strip of 96 columns takes."""
        return -(-cut.tiles(*size) // processors) * (cut.rows * columns / 96 + OVERHEAD)

    return min(cuts, key=seconds)


class HopperConvolution:
    """A convolution's weights as the kernel reads them, and the kernel."""

    def __init__(self, kernel: Kernel):
        assert kernel.bias is not None
        scale = torch.ones_like(kernel.bias) if kernel.scale is None else kernel.scale
        self.dtype, self.inputs, self.outputs = kernel.weight.dtype, inputs_of(kernel), kernel.outputs
        self.larger, self.extent = kernel.extent == LARGER, kernel.extent
        self.columns, self.group, _ = layout(self.dtype, self.inputs, self.outputs)
        self.weight = self._arranged(kernel.weight)
        self.scale, self.bias = scale.float().contiguous(), kernel.bias.float().contiguous()
        self._fallback = kernel._replace(weight=kernel.weight.new_empty(0))  # Triton's, if it is needed

    def __call__(self, new: Tensor, past: Tensor | None, skip: Tensor | None = None) -> Tensor:
        """As `convolve` does with shape "same" or "larger", in bfloat16.

        new: frames [T, H + 2, W + 2, C], bfloat16 or int8; past [2, H + 2, W + 2, C] and skip only if "same".
        """
        frames, hp, wp, channels = new.shape
        assert channels == self.inputs and new.dtype == self.dtype
        assert past is None if self.larger else past is not None and len(past) == 2
        size, count = (frames, hp - 2, wp - 2), processors(new.device)
        cut = cut_for(self.dtype, self.inputs, self.outputs, size, count, self.larger)
        return self.run(cut, new, past, skip)

    def run(self, cut: Cut, new: Tensor, past: Tensor | None, skip: Tensor | None = None) -> Tensor:
        """The same, cut in this way."""
        found = functions(cut, new.device)
        if found is None:
            return self._by_triton(new, past, skip)
        frames, hp, wp, _ = new.shape
        picture = (2 * hp - 2, 2 * wp - 2) if self.larger else (hp, wp)
        out = new.new_empty(frames, *picture, self.outputs, dtype=torch.bfloat16)
        both = new, new if past is None else past
        sources = (x.view(len(x), 1, hp * wp, -1) if cut.pitch else x for x in both)
        maps = (tensor_map(x, (1, *cut.boxes[1:], cut.part)) for x in sources)
        arguments = *maps, self.weight, self.scale, self.bias, skip, out, frames, hp - 2, wp - 2
        blocks = min(cut.tiles(frames, hp - 2, wp - 2), processors(new.device))
        with torch.cuda.device(new.device):
            found[skip is not None](blocks, cut.threads, arguments)
        return out

    def _by_triton(self, new: Tensor, past: Tensor | None, skip: Tensor | None) -> Tensor:
        if not len(self._fallback.weight):
            self._fallback = self._fallback._replace(weight=self._rows())
        shape = "larger" if self.larger else "same"
        return convolve(new, past, self._fallback, skip=skip, shape=shape, dtype=torch.bfloat16)

    def _arranged(self, rows: Tensor) -> Tensor:
        """The bytes of a kernel's weight [outputs, taps * inputs] in the order in which they are read."""
        groups = self.inputs * self.dtype.itemsize // self.group
        # [side, output, frame, row, column, group of a pixel's bytes, step, half, byte]
        sizes = -1, self.columns, *self.extent, groups, self.group // 32, 2, 16
        return rows.contiguous().view(torch.uint8).view(sizes).permute(0, 2, 5, 3, 4, 6, 7, 1, 8).flatten()

    def _rows(self) -> Tensor:
        """That weight again."""
        groups = self.inputs * self.dtype.itemsize // self.group
        long, tall, wide = self.extent
        parts = self.weight.view(-1, long, groups, tall, wide, self.group // 32, 2, self.columns, 16)
        rows = parts.permute(0, 7, 1, 3, 4, 2, 5, 6, 8).flatten(2).flatten(0, 1)
        return rows.view(self.dtype)


@cache
def _functions(cut: Cut, device: torch.device) -> tuple[Function, Function] | None:
    try:
        code = compiled(SOURCE.read_text(), **cut.constants())
        with torch.cuda.device(device):
            alone = Function(code, "convolution", cut.shared)
            return alone, Function(code, "convolution_and_sum", cut.shared)
    except NvrtcError as error:
        log.warning("A faster kernel for the decoder cannot be had here, and Triton's is used: %s", error)
        return None


def functions(cut: Cut, device: torch.device) -> tuple[Function, Function] | None:
    """The kernel without and with a sum on a device, compiled once. None where it cannot be had, which a
    warning says."""
    with _lock:
        return _functions(cut, device)


def usable(kernel: Kernel, dtype: torch.dtype) -> bool:
    """Whether the kernel is made for a convolution that gives this type, and for the GPU that it is on."""
    weight = kernel.weight
    if not (weight.is_cuda and dtype == torch.bfloat16 and weight.dtype in (torch.bfloat16, torch.int8)):
        return False
    widths = inputs_of(kernel), kernel.outputs
    fits = (
        kernel.extent in (SAME, LARGER)
        and not any(width % 96 for width in widths)
        and kernel.bias is not None
    )
    return fits and torch.cuda.get_device_capability(weight.device)[0] == 9


def inputs_of(kernel: Kernel) -> int:
    return kernel.weight.shape[1] // prod(kernel.extent)
