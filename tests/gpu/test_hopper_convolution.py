"""The convolutions in CUDA C++, on a Hopper GPU: their numbers, edges, graphs, threads, and the decoder."""

import copy
from concurrent.futures import ThreadPoolExecutor
from itertools import product as combinations

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("triton", reason="Triton comes with PyTorch for NVIDIA GPUs")
from mgdemo.checkpoints import config_named
from mgdemo.model.fast import convolution_hopper, row_decoder
from mgdemo.model.fast.calibration import calibrate
from mgdemo.model.fast.convolution import Kernel
from mgdemo.model.fast.convolution_hopper import HopperConvolution, usable
from mgdemo.model.fast.decoder import GraphedDecoder
from mgdemo.model.fast.nvrtc import NvrtcError
from mgdemo.model.fast.pixel_norm import Code
from mgdemo.model.fast.row_decoder import RowDecoder, with_margins
from mgdemo.model.vae import VAE, State

DEVICE = "cuda"
TYPES = torch.bfloat16, torch.int8
WIDTHS = [(96, 96), (192, 192), (192, 384), (384, 384)]
SIZES = [(1, 5, 7), (3, 10, 70), (2, 33, 129), (4, 44, 80), (1, 20, 160)]


BY_TRITON = HopperConvolution._by_triton


@pytest.fixture(autouse=True)
def hopper(monkeypatch):
    """A Hopper GPU, on which Triton does not step in for the kernel under test."""

    def by_triton(*_):
        raise AssertionError("the kernel cannot be had: see the warning")

    torch.manual_seed(0)
    if torch.cuda.get_device_capability()[0] != 9:
        pytest.skip("needs a Hopper GPU")
    monkeypatch.setattr(HopperConvolution, "_by_triton", by_triton)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False), torch.inference_mode():
        yield


def randn(*shape):
    return torch.randn(shape, device=DEVICE)


def kernel_of(inputs, outputs, dtype):
    weight, bias = randn(outputs, inputs, 3, 3, 3) / (27 * inputs) ** 0.5, randn(outputs)
    if dtype == torch.int8:
        return Kernel.in_eight_bits(weight, bias, Code.up_to(4.0))
    return Kernel.from_weight(weight.bfloat16(), bias.bfloat16())


def pixels(channels, size, dtype):
    frames, height, width = size
    x = randn(1, channels, frames, height, width)
    return with_margins((x * 40).clamp(-128, 127).to(torch.int8) if dtype == torch.int8 else x.to(dtype))


def inside(x):
    return x[:, 1:-1, 1:-1].permute(3, 0, 1, 2)


def exact(new, past, kernel, skip=None):
    """[C, T, H, W] in float64."""
    weight = kernel.weight.double().view(kernel.outputs, 3, 3, 3, -1).permute(0, 4, 1, 2, 3)
    out = F.conv3d(torch.cat((past, new)).double().permute(3, 0, 1, 2), weight)
    if kernel.scale is not None:
        out *= kernel.scale.double().view(-1, 1, 1, 1)
    out += kernel.bias.double().view(-1, 1, 1, 1)
    return out if skip is None else out + inside(skip).double()


def apart(ours, exact):
    return float((ours.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize(("dtype", "widths", "size"), [*combinations(TYPES, WIDTHS, SIZES)])
def test_it_computes_the_convolution_up_to_the_edges_with_and_without_a_sum(dtype, widths, size):
    (inputs, outputs), kernel = widths, kernel_of(*widths, dtype)
    assert usable(kernel, torch.bfloat16)
    ours, new = HopperConvolution(kernel), pixels(inputs, size, dtype)
    past, skip = pixels(inputs, (2, *size[1:]), dtype), pixels(outputs, size, torch.bfloat16)
    for add in (None, skip):
        assert apart(inside(ours(new, past, add)), exact(new, past, kernel, add)) < 4e-3
    assert torch.equal(ours._rows(), kernel.weight)


@pytest.mark.parametrize(("widths", "size"), [*combinations([(192, 96), (384, 192)], SIZES)])
def test_it_computes_the_convolution_after_doubling(widths, size):
    inputs, outputs = widths
    weight, bias = (randn(outputs, inputs, 3, 3) / (9 * inputs) ** 0.5).bfloat16(), randn(outputs).bfloat16()
    kernel, new = Kernel.from_upsample(weight, bias), pixels(inputs, size, torch.bfloat16)
    assert usable(kernel, torch.bfloat16)
    doubled = F.interpolate(inside(new).transpose(0, 1).float(), scale_factor=2.0, mode="nearest")
    plain = F.conv2d(doubled.double(), weight.double(), bias.double(), padding=1).transpose(0, 1)
    assert apart(inside(HopperConvolution(kernel)(new, None)), plain) < 4e-3


@pytest.mark.parametrize("dtype", TYPES)
def test_a_captured_one_follows_what_its_buffers_hold_on_any_stream(dtype):
    kernel, size = kernel_of(96, 96, dtype), (2, 24, 64)
    ours, new, past = HopperConvolution(kernel), pixels(96, size, dtype), pixels(96, size, dtype)
    stream, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
    with torch.cuda.stream(stream):
        ours(new, past)
    with torch.cuda.graph(graph, stream=stream):
        made = ours(new, past)
    for _ in range(2):
        new.copy_(pixels(96, size, dtype))
        past.copy_(pixels(96, size, dtype))
        graph.replay()
        assert apart(inside(made), exact(new, past, kernel)) < 4e-3


def test_several_threads_with_a_stream_each_get_their_own_results():
    kernel, size = kernel_of(96, 96, torch.bfloat16), (2, 20, 70)
    ours = HopperConvolution(kernel)
    convolution_hopper._functions.cache_clear()

    @torch.inference_mode()
    def play(_):
        with torch.cuda.stream(torch.cuda.Stream()):
            new, past = pixels(96, size, torch.bfloat16), pixels(96, size, torch.bfloat16)
            made = [ours(new, past) for _ in range(20)]
            right = exact(new, past, kernel)
            return max(apart(inside(each), right) for each in made)

    with ThreadPoolExecutor(4) as threads:
        assert max(threads.map(play, range(4))) < 4e-3


def test_without_nvrtc_triton_gives_the_same_and_a_warning_says_so(monkeypatch, caplog):
    def missing(*_, **__):
        raise NvrtcError("libnvrtc.so is missing")

    kernel, size = kernel_of(96, 96, torch.bfloat16), (2, 20, 70)
    ours, new, past = HopperConvolution(kernel), *(pixels(96, size, torch.bfloat16) for _ in range(2))
    convolution_hopper._functions.cache_clear()
    monkeypatch.setattr(convolution_hopper, "compiled", missing)
    monkeypatch.setattr(HopperConvolution, "_by_triton", BY_TRITON)
    try:
        assert apart(inside(ours(new, past)), exact(new, past, kernel)) < 4e-3
    finally:
        convolution_hopper._functions.cache_clear()
    assert "libnvrtc.so is missing" in caplog.text


@pytest.mark.parametrize("eight", [False, True])
def test_the_published_decoder_is_as_exact_as_by_triton(eight, monkeypatch):
    """Two streams in turns, in pieces, captured, at half of the published height and width."""
    with torch.device(DEVICE):
        plain = VAE(config_named("universal").vae)
    given = randn(1, 16, 7, 22, 40)
    pieces = [(piece, -piece) for piece in given.split((1, 2, 1, 2, 1), dim=2)]

    def videos(vae):
        states, made = (State(), State()), ([], [])
        for turn in pieces:
            for state, video, piece in zip(states, made, turn, strict=True):
                video.append(vae.decode(piece.to(vae.conv2.weight.dtype), state).float())
        return torch.cat([torch.cat(video, dim=2) for video in made])

    exact_ones, errors = videos(plain), []
    for fast in (False, True):
        vae = copy.deepcopy(plain).bfloat16()
        with monkeypatch.context() as patch:
            if not fast:
                patch.setattr(row_decoder, "usable", lambda *_: False)
            decoder = RowDecoder(vae.decoder)
            vae.set_submodule("decoder", decoder)
            if eight:
                calibrate(vae, decoder, [randn(1, 3, 1, 176, 320).clamp(-1, 1).bfloat16()])
        kinds = [type(module.kernel) for module in decoder.modules() if hasattr(module, "kernel")]
        assert kinds.count(HopperConvolution) == (28 + 3 if fast else 0)
        vae.set_submodule("decoder", GraphedDecoder(decoder))
        errors.append(apart(videos(vae), exact_ones.double()))
    assert errors[1] < 1.1 * errors[0]
