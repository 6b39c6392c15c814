"""On the real GPU, compiled and captured: `make test-gpu`, or `python -m pytest -m gpu` where it is.

Elsewhere the kernels run in Triton's interpreter (tests/model/test_kernels.py), at tiny sizes. Here they have
the published widths and the tiles that were chosen for them.
"""

import copy
from itertools import product as combinations
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from devtools import parity
from devtools.parity.folder import Folder, NotUnderstood
from devtools.tiny import tiny_image, tiny_model
from devtools.wider import wider
from mgdemo.blocks import frames_in_blocks
from mgdemo.config import Optimization
from mgdemo.loading import load_world_model, places
from mgdemo.model.vae import State
from mgdemo.picture import pixel_values, prepare_image
from mgdemo.random_actions import random_actions
from tests.support.plays import play, worst

pytest.importorskip("triton", reason="Triton comes with PyTorch for NVIDIA GPUs")
from mgdemo.model.fast import convolution, product, rows
from mgdemo.model.fast.calibration import calibrate
from mgdemo.model.fast.convolution import Kernel
from mgdemo.model.fast.pixel_norm import Code, pixel_norm
from mgdemo.model.fast.product import EightBitWeights
from mgdemo.model.fast.row_decoder import RowDecoder, fits, with_margins

DEVICE = "cuda"
GOLDENS = "tests/goldens"
ROUNDED = {torch.float32: 3e-6, torch.bfloat16: 4e-3}  # of a kernel alone, relative norm


@pytest.fixture(autouse=True)
def exact_references():
    torch.manual_seed(0)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False), torch.inference_mode():
        yield


def randn(*shape, dtype=torch.float32):
    return torch.randn(shape, device=DEVICE).to(dtype)


def inside(pixels):
    return pixels[:, 1:-1, 1:-1].permute(3, 0, 1, 2)[None]


def apart(ours, exact):
    ours, exact = ours.double(), exact.double()
    return float((ours - exact).norm() / exact.norm())


@pytest.mark.parametrize(
    ("width", "outputs", "dtype"),
    [
        *combinations((96, 192, 384), (96, 192, 384), (torch.bfloat16,)),
        (32, 32, torch.bfloat16),
        (48, 48, torch.bfloat16),
        (32, 32, torch.float32),
    ],
)
def test_convolutions_of_the_decoder(width, outputs, dtype):
    """As a stream continues, after doubling in space, in time, and with few outputs."""
    new, past, skip = (randn(1, c, t, 22, 40, dtype=dtype) for c, t in ((width, 4), (width, 2), (outputs, 4)))
    weight, bias = randn(outputs, width, 3, 3, 3, dtype=dtype) / (27 * width) ** 0.5, randn(outputs)
    bias, most = bias.to(dtype), ROUNDED[dtype]
    both = torch.cat((past, new), dim=2).float()
    plain = F.conv3d(both, weight.float(), bias.float(), padding=(0, 1, 1))
    kernel = Kernel.from_weight(weight, bias)
    ours = convolution.convolve(with_margins(new), with_margins(past), kernel, skip=with_margins(skip))
    assert apart(inside(ours), plain + skip.float()) < most
    flat = weight[:, :, 1]
    larger = F.interpolate(new[0].transpose(0, 1).float(), scale_factor=2.0, mode="nearest")
    plain = F.conv2d(larger, flat.float(), bias.float(), padding=1).transpose(0, 1)[None]
    ours = convolution.convolve(with_margins(new), None, Kernel.from_upsample(flat, bias), shape="larger")
    assert apart(inside(ours), plain) < most
    line = weight[:, :, :, 1:2, 1:2].contiguous()
    plain = F.conv3d(both, line.float(), bias.float()).unflatten(1, (2, -1)).movedim(1, 3).flatten(2, 3)
    kernel = Kernel.from_weight(line, bias)
    ours = convolution.convolve(with_margins(new), with_margins(past), kernel, shape="pairs")
    assert apart(inside(ours), plain) < most
    few = weight[:3]
    plain = F.conv3d(both, few.float(), bias[:3].float(), padding=(0, 1, 1))
    kernel = convolution.taps_as_outputs(few)
    ours = convolution.few_outputs(with_margins(new), with_margins(past), kernel, bias[:3])
    assert apart(ours, plain) < most


@pytest.mark.parametrize("width", [96, 192, 384])
def test_norm_and_convolution_in_8_bits(width):
    x, gamma = randn(1, width, 6, 22, 40, dtype=torch.bfloat16), (1 + randn(width) / 5).bfloat16()
    weight, bias = randn(width, width, 3, 3, 3, dtype=torch.bfloat16) / (27 * width) ** 0.5, randn(width)
    active = F.silu(F.normalize(x.float(), dim=1) * width**0.5 * gamma.float().view(1, -1, 1, 1, 1))
    ours = pixel_norm(with_margins(x), gamma)
    assert apart(inside(ours), active) < ROUNDED[torch.bfloat16]
    code = Code.up_to(float(active.max()))
    codes = pixel_norm(with_margins(x), gamma, code=code)
    known = (codes.float() - code.zero) * code.step
    assert (inside(known) - active).abs().max() <= 0.51 * code.step and not known[:, 0].any()
    kernel = Kernel.in_eight_bits(weight, bias, code)
    past, new = codes[:2].contiguous(), codes[2:].contiguous()
    ours = convolution.convolve(new, past, kernel, dtype=torch.float32)
    taps = kernel.weight.float().view(width, 3, 3, 3, width).permute(0, 4, 1, 2, 3)
    taps = taps * (kernel.scale / code.step).view(-1, 1, 1, 1, 1)
    assert apart(inside(ours), F.conv3d(inside(known), taps, bias, padding=(0, 1, 1))) < 1e-5


@pytest.mark.parametrize(("gelu", "dtype"), [(False, rows.INT8), (True, rows.INT8), (False, rows.FP8)])
def test_products_in_8_bits(gelu, dtype):
    x, weight, bias = (randn(*shape, dtype=torch.bfloat16) for shape in ((2640, 1536), (8960, 1536), (8960,)))
    weight /= 1536**0.5
    made = rows.activated(x, quantize=dtype)
    values = made.values.float() * made.scale
    linear = EightBitWeights.from_weight(weight, bias, dtype)
    plain = F.linear(
        values.double(), (linear.weight.values.float() * linear.weight.scale).double(), bias.double()
    )
    ours = product.product(made, linear, gelu=gelu)
    if gelu:
        plain = F.gelu(plain, approximate="tanh")
        ours = ours.values.float() * ours.scale
    assert apart(ours, plain) < (0.04 if gelu else ROUNDED[torch.bfloat16])


def embedded_vae():
    """The trained one of an embedded world, and pictures of its places [1, 3, 1, H, W]."""
    model = load_world_model("universal-tiny", device="cpu")
    pictures = [
        torch.from_numpy(pixel_values(prepare_image(place, *model.size))) for place in places("universal")
    ]
    return model.vae.float(), [picture[None, :, None] for picture in pictures]


def golden_vae():
    generator = torch.Generator().manual_seed(0)
    small = (torch.rand(1, 3, 1, 6, 10, generator=generator) * 2 - 1 for _ in range(3))
    pictures = [F.interpolate(picture, (1, 96, 160), mode="trilinear") for picture in small]
    return Folder(Path(GOLDENS), "cpu", "float32").net("weights_vae.safetensors"), pictures


@pytest.mark.parametrize(("given", "times"), [(embedded_vae, 4), (golden_vae, 8)])
def test_the_decoder_in_8_bits_is_near_that_in_16_on_pictures_that_it_was_not_tried_on(given, times, capsys):
    """Widened, so that the kernels take it; a stream in pieces as in play."""
    vae, (last, *pictures) = given()
    vae = wider(vae, times).to(DEVICE, torch.bfloat16)
    last, *pictures = (picture.to(DEVICE, torch.bfloat16) for picture in (last, *pictures))
    assert fits(vae.decoder)
    latents, made = vae.encode(torch.cat([last.roll(8 * i, dims=-1) for i in range(25)], dim=2)), []
    for eight in (False, True):
        own = copy.deepcopy(vae)
        own.set_submodule("decoder", RowDecoder(own.decoder))
        if eight:
            calibrate(own, own.decoder, pictures)
            assert own.decoder.large_convolutions()
        state, pieces = State(), latents.split((1, 2, 1, 2, 1), dim=2)
        made.append(torch.cat([own.decode(piece, state) for piece in pieces], dim=2).float())
    psnr = float(10 * torch.log10(4 / (made[0] - made[1]).square().mean()))
    with capsys.disabled():
        print(f"\n{given.__name__}: the decoder in 8 bits against 16: {psnr:.1f} dB")
    assert 46 < psnr < 80


@pytest.fixture(params=["universal", "gta_drive", "templerun"])
def mode(request):
    return request.param


def model_of(mode, **options):
    model = tiny_model(mode, width=32, layers=3, acting=2, device=DEVICE)
    if options:
        model.optimize(Optimization(**options))
    return model


def test_captured_graphs_and_kernels_make_the_same_frames_for_one_play_and_for_several(mode):
    """Also with low VRAM, after going back, and beside another play: there, bit for bit."""
    tracks = [random_actions(mode, 12 * 5 - 3, seed=seed) for seed in (1, 2)]
    plain = play(model_of(mode).start(tiny_image(), seed=4), tracks[0])
    model, small = model_of(mode, graphs=True), model_of(mode, low_vram=True)
    alone = [play(model.start(tiny_image(i), seed=4 + i), track) for i, track in enumerate(tracks)]
    assert worst(alone[0], plain) <= 1
    assert worst(play(small.start(tiny_image(), seed=4), tracks[0]), plain) <= 1
    worlds = [model.start(tiny_image(i), seed=4 + i) for i in range(2)]
    together = [[], []]
    for turn in (0, 1, 1, 0, 0, 0, 1, 1, 0, 1):
        together[turn].append(worlds[turn].step(tracks[turn].block(worlds[turn].block)))
    assert [worst(*pair) for pair in zip(alone, together, strict=True)] == [0, 0]
    one = model.start(tiny_image(), seed=4)
    play(one, tracks[0].frames(0, 21))
    one.step(tracks[1].block(2))
    assert worst([one.regenerate(tracks[0].block(2))], [alone[0][2]]) == 0


PARITY = [("float32", None), ("float32", ""), ("bfloat16", None), ("bfloat16", ""), ("float32", "low-vram")]


def test_blocks_that_are_followed_unseen_lead_to_the_same_world():
    """A session that goes on elsewhere: most of its blocks are not decoded again."""
    model = load_world_model("universal-tiny", device=DEVICE)
    seen, more = model.reach + 4, 2
    track = random_actions("universal", frames_in_blocks(seen + more), seed=3)
    world, latents = model.start(tiny_image(), seed=3), []
    for block in range(seen):
        world.step(track.block(block))
        latents.append(world.latents)
    truth = play(world, track)
    other = model.start(tiny_image(), seed=3)
    for block, known in enumerate(latents):
        other.repeat(track.block(block), known, shown=seen - block <= model.reach)
    assert worst(truth, play(other, track)) == 0
    assert other.latents == world.latents


@pytest.mark.parametrize(("dtype", "optimization"), PARITY)
def test_parity_with_the_reference(dtype, optimization):
    found = list(parity.check(GOLDENS, device=DEVICE, dtype=dtype, optimization=optimization))
    assert found and not [row for row in found if not row.ok]


def test_parity_in_fp8_where_the_widths_allow_it_and_a_sentence_where_not():
    found = list(parity.check(GOLDENS, device=DEVICE, dtype="bfloat16", optimization="fp8"))
    able = [row for row in found if "universal" in row.case]
    exact = parity.check(GOLDENS, device=DEVICE, dtype="bfloat16", optimization="")
    least = {row.case: row.relative for row in exact}
    assert able and all(row.ok and row.relative > least[row.case] for row in able)
    assert all("multiples of 16" in row.note for row in found if row not in able)


def test_where_there_is_no_such_device_parity_says_so():
    with pytest.raises(NotUnderstood):
        list(parity.check(GOLDENS, device="cuda:99"))
