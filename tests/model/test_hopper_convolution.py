"""The kernel for Hopper GPUs, as far as one can test it without: how work is cut, and what is read where."""

from itertools import product as combinations

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("triton", reason="Triton is for Linux, where requirements-dev.txt installs it")
from mgdemo.model.fast import convolution_hopper
from mgdemo.model.fast.convolution import Kernel, convolve
from mgdemo.model.fast.convolution_hopper import ACROSS, SHARED, HopperConvolution, cut_for, usable
from mgdemo.model.fast.nvrtc import NvrtcError
from mgdemo.model.fast.row_decoder import with_margins
from tests.model.test_kernels import pytestmark as needs_interpreter

TYPES = torch.bfloat16, torch.int8
WIDTHS = [(96, 96), (192, 192), (192, 384), (384, 384)]
SIZES = [(4, 352, 640), (8, 176, 320), (2, 88, 160), (4, 88, 160), (1, 44, 80), (3, 5, 7), (1, 33, 129)]


def drawn(*shape, dtype):
    if dtype == torch.int8:
        return torch.randint(-9, 10, shape, dtype=dtype)
    return (torch.randint(-9, 10, shape) / 8).to(dtype)


def kernel_of(inputs, outputs, dtype):
    scale = torch.rand(outputs) + 0.5 if dtype == torch.int8 else None
    weight, bias = drawn(outputs, 27 * inputs, dtype=dtype), torch.randn(outputs)
    return Kernel(weight, bias if scale is not None else bias.bfloat16(), outputs, (3, 3, 3), scale)


@pytest.mark.parametrize("larger", [False, True])
@pytest.mark.parametrize(("dtype", "widths", "size"), [*combinations(TYPES, WIDTHS, SIZES)])
def test_every_cut_fits_into_a_block_and_its_tiles_cover_all_pixels(dtype, widths, size, larger):
    cut, (frames, height, width) = cut_for(dtype, *widths, size, 132, larger), size
    assert cut.shared <= SHARED and cut.weights > cut.stagger
    pixels = cut.tiles(*size) // cut.sharing * cut.strips * ACROSS
    assert pixels >= frames * height * width
    count, rows, across = cut.boxes
    assert rows <= 256 and across <= 256 and (count == 1 or across % 8 == 0)
    halo = cut.strips * ACROSS + 2 * (width + 2) + 2 if cut.pitch else (cut.strips + 2) * (ACROSS + 2)
    assert count * rows * across >= halo


def test_large_frames_waste_nothing_and_narrow_ones_are_cut_flat():
    wide = cut_for(torch.bfloat16, 96, 96, (8, 352, 640), 132)
    narrow = cut_for(torch.bfloat16, 384, 384, (1, 44, 80), 132)
    assert wide.pitch == 0 and wide.tiles(8, 352, 640) * wide.strips * ACROSS == 8 * 352 * 640
    assert narrow.pitch == 82 and narrow.tiles(1, 44, 80) > 100  # nearly all of the processors have one


@pytest.mark.parametrize(("dtype", "widths"), [*combinations(TYPES, WIDTHS[:3])])
def test_weights_lie_as_the_kernel_reads_them(dtype, widths):
    """Loads of a tap, in its order, multiplied as its products see them: that is the convolution."""
    (inputs, outputs), height, width = widths, 4, 5
    kernel = kernel_of(inputs, outputs, dtype)
    ours, frames = HopperConvolution(kernel), drawn(3, height + 2, width + 2, inputs, dtype=dtype)
    groups = inputs * dtype.itemsize // ours.group
    out = torch.zeros(outputs, height, width)
    loads = iter(ours.weight.view(-1, ours.group // 16, ours.columns, 16).movedim(2, 1))
    for side, frame, group, row, column in combinations(
        range(outputs // ours.columns), range(3), range(groups), range(3), range(3)
    ):
        tap = next(loads).flatten(1).view(dtype).float()  # [columns, a group's inputs]
        seen = frames[frame, row : row + height, column : column + width].chunk(groups, dim=2)[group].float()
        out[side * ours.columns : (side + 1) * ours.columns] += torch.einsum("oi,yxi->oyx", tap, seen)
    assert next(loads, None) is None
    weight = kernel.weight.float().view(outputs, 3, 3, 3, inputs).permute(0, 4, 1, 2, 3)
    assert torch.equal(out, F.conv3d(frames.float().permute(3, 0, 1, 2)[None], weight)[0, :, 0])


@needs_interpreter
def test_where_it_cannot_be_compiled_triton_takes_over_and_a_warning_for_each_kernel_says_so(
    monkeypatch, caplog
):
    def missing(*_, **__):
        raise NvrtcError("libnvrtc.so is missing")

    monkeypatch.setattr(convolution_hopper, "compiled", missing)
    kernel = kernel_of(96, 96, torch.int8)
    new, past = (with_margins(drawn(1, 96, t, 5, 7, dtype=torch.int8)) for t in (3, 2))
    skip, ours = with_margins(torch.randn(1, 96, 3, 5, 7).bfloat16()), HopperConvolution(kernel)
    try:
        for add in (None, skip):
            plain = convolve(new, past, kernel, skip=add, dtype=torch.bfloat16)
            assert torch.equal(ours(new, past, add)[:, 1:-1, 1:-1], plain[:, 1:-1, 1:-1])
        phases = Kernel(drawn(4 * 96, 4 * 96, dtype=torch.int8), kernel.bias, 96, (1, 2, 2), kernel.scale)
        plain = convolve(new, None, phases, shape="larger", dtype=torch.bfloat16)
        made = HopperConvolution(phases)(new, None)
        assert torch.equal(made[:, 1:-1, 1:-1], plain[:, 1:-1, 1:-1])
    finally:
        convolution_hopper._functions.cache_clear()
    assert [record.message.count("libnvrtc.so is missing") for record in caplog.records] == [1, 1]


@pytest.mark.parametrize("dtype", TYPES)
def test_without_a_gpu_it_is_not_used(dtype):
    assert not usable(kernel_of(96, 96, dtype), torch.bfloat16)
