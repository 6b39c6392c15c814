"""Our kernels compute what the plain nets do; in Triton's interpreter, on the CPU."""

import copy
from importlib.metadata import version
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from devtools.tiny import tiny_image, tiny_model
from mgdemo.config import VAEConfig
from mgdemo.model.vae import VAE, State
from mgdemo.random_actions import random_actions

pytest.importorskip("triton", reason="Triton is for Linux, where requirements-dev.txt installs it")
from mgdemo.model.action import Actions
from mgdemo.model.fast import convolution, product, rows, tiles
from mgdemo.model.fast.calibration import best_end
from mgdemo.model.fast.convolution import Kernel
from mgdemo.model.fast.decoder import GraphedDecoder
from mgdemo.model.fast.kernels import OptimizationError, replace_layers
from mgdemo.model.fast.linear import EightBitLinear, RowLinear
from mgdemo.model.fast.pixel_norm import Code, pixel_norm
from mgdemo.model.fast.product import EightBitWeights
from mgdemo.model.fast.row_decoder import fits, with_margins
from mgdemo.model.fast.tiles import Tiles
from mgdemo.model.fast.transformer import GraphedTransformer

OLD = int(version("triton").split(".")[1]) < 9 and np.lib.NumpyVersion(np.__version__) >= "2.4.0"
pytestmark = pytest.mark.skipif(
    OLD, reason="the interpreter of Triton 3.6 fails with NumPy 2.4; 3.9 does not"
)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def near(ours, plain, most=2e-6):
    assert ours.shape == plain.shape
    assert (ours - plain).norm() <= most * plain.norm()


def frames(channels, count):
    return torch.randn(1, channels, count, 5, 7)


def inside(pixels):
    """Rows of pixels without their margins, as [1, C, T, H, W]."""
    return pixels[:, 1:-1, 1:-1].permute(3, 0, 1, 2)[None]


def exact(made):
    """What rows in 8 bits stand for."""
    return made.values.float() * made.scale


@pytest.mark.parametrize(
    ("inputs", "outputs", "count", "tiles"),
    [(32, 32, 2, None), (96, 96, 3, Tiles(16, 64, 32, 4, 2)), (16, 48, 1, Tiles(16, 16, 0, 4, 2))],
)
def test_a_convolution_continues_from_the_frames_before(inputs, outputs, count, tiles):
    new, past, skip = frames(inputs, count), frames(inputs, 2), frames(outputs, count)
    weight, bias = torch.randn(outputs, inputs, 3, 3, 3) / 30, torch.randn(outputs)
    plain = F.conv3d(torch.cat((past, new), dim=2), weight, bias, padding=(0, 1, 1)) + skip
    kernel = Kernel.from_weight(weight, bias)
    near(
        inside(
            convolution.convolve(
                with_margins(new), with_margins(past), kernel, skip=with_margins(skip), tiles=tiles
            )
        ),
        plain,
    )


@pytest.mark.parametrize(("inputs", "outputs"), [(96, 96), (192, 48), (32, 32)])
def test_a_convolution_in_8_bits_is_as_exact_as_its_numbers(inputs, outputs):
    """Norm, SiLU and convolution: exactly what the codes say, and near to what they stand for."""
    x, gamma, skip = frames(inputs, 5), 1 + torch.randn(inputs) / 5, frames(outputs, 3)
    weight, bias = torch.randn(outputs, inputs, 3, 3, 3) / (27 * inputs) ** 0.5, torch.randn(outputs)
    active = F.silu(F.normalize(x, dim=1) * inputs**0.5 * gamma.view(1, -1, 1, 1, 1))
    code = Code.up_to(float(active.max()))
    kept = torch.empty_like(with_margins(x)[:2], dtype=torch.int8)
    codes = pixel_norm(with_margins(x), gamma, kept=kept, code=code)
    assert torch.equal(kept, codes[-2:]) and (codes[:, 0] == code.zero).all(), "margins stand for zero"
    known = (codes.float() - code.zero) * code.step
    assert (inside(known) - active).abs().max() <= 0.51 * code.step
    assert (code.encode(with_margins(active)).float() - codes).abs().max() <= 1
    kernel = Kernel.in_eight_bits(weight, bias, code)
    ours = convolution.convolve(
        codes[2:].contiguous(), codes[:2].contiguous(), kernel, skip=with_margins(skip), dtype=torch.float32
    )
    taps = kernel.weight.float().view(outputs, 3, 3, 3, inputs).permute(0, 4, 1, 2, 3)
    taps *= (kernel.scale / code.step).view(-1, 1, 1, 1, 1)
    near(inside(ours), F.conv3d(inside(known), taps, bias, padding=(0, 1, 1)) + skip)
    exact_result = F.conv3d(active, weight, bias, padding=(0, 1, 1)) + skip
    assert (inside(ours) - exact_result).norm() < 0.01 * exact_result.norm()


def test_the_decoder_in_8_bits_is_near_the_plain_one_and_remembers_in_8_bits():
    sizes = {"num_res_blocks": 1, "temporal_downsample": [True], "pixel_shuffle": 2}
    vae = VAE(VAEConfig(dim=32, dim_mult=[1, 1], **sizes)).eval().requires_grad_(False)
    model, plain, ours = tiny_model(), State(), State()
    model.vae = copy.deepcopy(vae)
    pictures = [torch.rand(1, 3, 1, 8, 12) * 2 - 1]
    replace_layers(model.transformer, model.vae, int8=True, pictures=pictures)
    latents = vae.encode(torch.rand(1, 3, 7, 8, 12) * 2 - 1)
    for count, piece in enumerate(latents.split(1, dim=2)):
        made, exact_frames = model.vae.decode(piece, ours), vae.decode(piece, plain)
        assert (made - exact_frames).norm() < 0.02 * exact_frames.norm()
        assert torch.equal(made, exact_frames) == (count == 0), "the first piece is the plain decoder's"
    large = {conv.conv for conv in model.vae.decoder.large_convolutions()}
    assert large and {conv for conv, frames in ours.items() if frames.dtype == torch.int8} == large


@pytest.mark.parametrize(("width", "pictures"), [(32, 0), (24, 1)])
def test_int8_needs_pictures_and_a_decoder_that_fits(width, pictures):
    vae = VAE(
        VAEConfig(dim=width, dim_mult=[1, 1], num_res_blocks=1, temporal_downsample=[True], pixel_shuffle=2)
    )
    model = tiny_model()
    model.vae = vae.eval().requires_grad_(False)
    before = repr(model.transformer)
    with pytest.raises(OptimizationError, match="leave out int8"):
        replace_layers(
            model.transformer, model.vae, int8=True, pictures=[torch.zeros(1, 3, 1, 16, 16)] * pictures
        )
    assert repr(model.transformer) == before


def test_an_outlier_does_not_widen_the_steps_of_all_other_values():
    values = F.silu(torch.randn(1_000_000))
    usual = best_end(values)
    assert 0.5 * values.max() < usual <= 1.2 * values.max()
    outlier = 8 * values.max()
    assert best_end(torch.cat((values, outlier[None]))) < 0.6 * outlier


def test_fp8_refuses_widths_that_the_gpu_cannot_copy():
    model = tiny_model(width=24)
    with pytest.raises(OptimizationError, match="multiples of 16; this checkpoint has 24: leave out fp8"):
        replace_layers(model.transformer, model.vae, fp8=True)


def test_a_convolution_after_doubling_reads_the_picture_before_it():
    x, weight, bias = frames(32, 2), torch.randn(16, 32, 3, 3) / 20, torch.randn(16)
    larger = F.interpolate(x[0].transpose(0, 1), scale_factor=2.0, mode="nearest")
    plain = F.conv2d(larger, weight, bias, padding=1).transpose(0, 1)[None]
    near(
        inside(
            convolution.convolve(with_margins(x), None, Kernel.from_upsample(weight, bias), shape="larger")
        ),
        plain,
    )


def test_a_convolution_in_time_makes_pairs_of_frames():
    new, past, weight, bias = frames(32, 2), frames(32, 2), torch.randn(64, 32, 3, 1, 1) / 10, torch.randn(64)
    pairs = F.conv3d(torch.cat((past, new), dim=2), weight, bias).unflatten(1, (2, -1))
    ours = convolution.convolve(
        with_margins(new), with_margins(past), Kernel.from_weight(weight, bias), shape="pairs"
    )
    near(inside(ours), pairs.movedim(1, 3).flatten(2, 3))


def test_few_outputs_are_gathered_from_all_sides():
    new, past, weight, bias = frames(32, 2), frames(32, 2), torch.randn(3, 32, 3, 3, 3) / 30, torch.randn(3)
    plain = F.conv3d(torch.cat((past, new), dim=2), weight, bias, padding=(0, 1, 1))
    near(
        convolution.few_outputs(
            with_margins(new), with_margins(past), convolution.taps_as_outputs(weight), bias
        ),
        plain,
    )


def test_pixels_are_normalized_and_margins_are_zero_whatever_stood_there():
    x, gamma = frames(24, 2), torch.randn(24)
    dirty = with_margins(x)
    dirty[:, 0], dirty[:, :, -1] = torch.nan, 7
    kept = torch.full_like(dirty[:1], 9)
    ours = pixel_norm(dirty, gamma, kept=kept)
    assert torch.equal(kept, ours[-1:]) and torch.equal(pixel_norm(dirty, gamma), ours)
    near(inside(ours), F.silu(F.normalize(x, dim=1) * 24**0.5 * gamma.view(1, -1, 1, 1, 1)))
    assert not any(margin.any() for margin in (ours[:, 0], ours[:, -1], ours[:, :, 0], ours[:, :, -1]))


@pytest.mark.parametrize("graphed", [False, True])
def test_the_decoder_continues_from_a_stream_that_the_plain_one_began(graphed):
    sizes = {"num_res_blocks": 1, "temporal_downsample": [True], "pixel_shuffle": 2}
    vae = VAE(VAEConfig(dim=16, dim_mult=[1, 2], **sizes)).eval().requires_grad_(False)
    assert fits(vae.decoder) and not fits(tiny_model().vae.decoder)
    model, latents, plain, ours = tiny_model(), torch.randn(1, 16, 7, 3, 4), State(), State()
    model.vae = copy.deepcopy(vae)
    replace_layers(model.transformer, model.vae)
    assert "RowResidualBlock" in str(model)
    if graphed:
        model.vae.decoder = GraphedDecoder(model.vae.decoder)
    for piece in latents.split((1, 1, 2, 1, 2), dim=2):
        near(model.vae.decode(piece, ours), vae.decode(piece, plain))


@pytest.mark.parametrize("with_bias", [True, False])
def test_what_a_layer_adds_to_a_stream_is_there_or_left_to_be_added(with_bias):
    stream, x, weight = torch.randn(5, 48), torch.randn(5, 32), torch.randn(48, 32)
    bias = torch.randn(48) if with_bias else None
    expected, added = stream + F.linear(x, weight, bias), stream.clone()
    assert RowLinear(weight, bias).add(added, x) is None
    near(added, expected)
    left = EightBitLinear(weight, bias).add(stream, x)
    near(stream + left, expected, 0.02)


@pytest.mark.parametrize(
    ("mode", "graphed", "fp8", "most"),
    [
        ("universal", False, False, 2e-6),
        ("universal", True, False, 2e-6),
        ("templerun", False, False, 2e-6),
        ("universal", False, True, 0.1),
    ],
)
def test_all_layers_compute_the_same_and_leave_the_same_memory(mode, graphed, fp8, most):
    width = 32 if fp8 else 24  # the copy engine reads rows of a multiple of 16 bytes
    plain, model = (tiny_model(mode, layers=3, acting=2, width=width) for _ in range(2))
    replace_layers(model.transformer, model.vae, fp8=fp8)
    assert ("EightBitLinear" if fp8 else "RowLinear") in str(model)
    if graphed:
        model.transformer = GraphedTransformer(model.transformer)
    worlds = [m.start(tiny_image(), seed=4) for m in (plain, model)]
    track = random_actions(mode, 21, seed=1)
    for block in range(2):  # the second begins with full rings
        actions = Actions.from_track(track.block(block))
        expected, ours = (world.step_latents(actions) for world in worlds)
        near(ours, expected, most)
    for expected, ours in zip(*(world.memory.held() for world in worlds), strict=True):
        near(ours, expected, most)


@pytest.mark.parametrize(
    ("dtype", "most"),
    [(rows.INT8, 0.01), (rows.FP8, 0.06)],  # the interpreter's rounding of e4m3 loses carries
)
def test_rows_in_8_bits_keep_their_size(dtype, most):
    torch.manual_seed(1)
    x = torch.randn(5, 64) * torch.tensor([1e-3, 1, 1, 30, 0]).view(-1, 1)
    made = rows.activated(x, quantize=dtype)
    assert made.values.dtype == dtype
    near(exact(made), x, most)
    near(made.norm, exact(made).norm(dim=1, keepdim=True))
    gain, shift = torch.randn(64), torch.randn(64)
    made = rows.residual_norm(x, gain, shift, 1e-6, quantize=dtype)
    near(exact(made), F.layer_norm(x, (64,), gain, shift, 1e-6), most)


@pytest.mark.parametrize(
    ("capability", "shared", "room"),
    [
        ((9, 0), 227, True),
        ((10, 0), 227, True),
        ((12, 0), 99, False),
        ((8, 0), 163, False),
    ],
)
def test_tiles_fit_the_shared_memory_of_a_gpu(monkeypatch, capability, shared, room):
    """Consumers' GPUs copy as Hopper does from Blackwell on, but have little room."""
    utils = SimpleNamespace(get_device_properties=lambda index: {"max_shared_mem": shared * 1024})
    monkeypatch.setattr(tiles, "driver", SimpleNamespace(active=SimpleNamespace(utils=utils)))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    device = torch.device("cuda", capability[0] * 10 + capability[1])  # what is known of one is kept
    assert (tiles.has_room(device), tiles.has_copy_engine(device)) == (room, capability >= (9, 0))
    cuts = [
        convolution.tiles_for(outputs, pixels, room, eight)
        for outputs in (3, 32, 64, 96, 192, 384, 768)
        for pixels in (10_000, 100_000)
        for eight in (False, True)
    ]
    for cut in [*cuts, product.product_tiles(room)]:  # of rows of 128 bytes
        assert 128 * (cut.rows + cut.first + cut.second) * cut.stages < shared * 1024


@pytest.mark.parametrize(
    ("described", "dtype"), [(True, rows.INT8), (True, rows.FP8), (False, rows.INT8), (False, rows.FP8)]
)
def test_products_in_8_bits_and_a_gelu_before_the_next(monkeypatch, described, dtype):
    monkeypatch.setattr(product, "has_copy_engine", lambda device: described)
    monkeypatch.setattr(product, "has_room", lambda device: described)
    torch.manual_seed(0)
    x, weight, bias = torch.randn(150, 144), torch.randn(272, 144) / 12, torch.randn(272)
    x[:, 0] *= 10
    x[7] = 0
    made = rows.activated(x, quantize=dtype)
    linear = EightBitWeights.from_weight(weight, bias, dtype)
    plain = F.linear(exact(made), exact(linear.weight), bias)
    near(product.product(made, linear), plain)
    near(product.product(made, EightBitWeights.from_weight(weight, None, dtype)), plain - bias)
    hidden = product.product(made, linear, gelu=True)
    near(exact(hidden), F.gelu(plain, approximate="tanh"), 0.07)
    assert (plain.abs() <= hidden.scale * 448).all()
