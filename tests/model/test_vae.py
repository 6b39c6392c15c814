import copy
from itertools import pairwise

import pytest
import torch

from devtools.tiny import tiny_model
from mgdemo.config import VAEConfig
from mgdemo.model.condition import Condition
from mgdemo.model.fast.library_convolutions import use_fast_convolutions
from mgdemo.model.vae import VAE, State

CONFIGS = {
    "published shape": VAEConfig(dim=4, dim_mult=[1, 2, 4, 4], num_res_blocks=2),
    "embedded shape": VAEConfig(
        dim=4, dim_mult=[1, 1, 2], num_res_blocks=1, temporal_downsample=[True, True], pixel_shuffle=2
    ),
    "time first": VAEConfig(
        dim=4, dim_mult=[1, 2, 1, 1], num_res_blocks=1, temporal_downsample=[True, True, False]
    ),
    "large squares": VAEConfig(
        dim=4, dim_mult=[1, 1, 1], num_res_blocks=0, temporal_downsample=[True, True], pixel_shuffle=4
    ),
}
SPLITS = [(7,), (1,) * 7, (1, 6), (3, 3, 1), (2, 1, 4)]


@pytest.fixture(params=[False, True], ids=["learning", "playing"])
def playing(request):
    """Without gradients the later pieces of a stream take a shorter way."""
    with torch.inference_mode(request.param):
        yield


@pytest.fixture(params=CONFIGS)
def plain(request):
    torch.manual_seed(3)
    return VAE(CONFIGS[request.param]).requires_grad_(False)


@pytest.fixture(params=[False, True], ids=["plain", "fast"])
def vae(request, plain):
    if request.param:
        use_fast_convolutions(plain)
    return plain


def pixels(vae, frames, seed=0):
    """A video of 2x3 latents."""
    side = vae.config.spatial_factor
    return torch.rand(1, 3, frames, 2 * side, 3 * side, generator=torch.manual_seed(seed)) * 2 - 1


def latents_of(vae, count):
    return torch.randn(1, vae.config.z_dim, count, 2, 3, generator=torch.manual_seed(1))


def parts(splits):
    """(start, stop) of consecutive pieces."""
    ends = torch.tensor([0, *splits]).cumsum(0).tolist()
    return list(pairwise(ends))


@pytest.mark.usefixtures("playing")
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_decoding_in_pieces_is_decoding_whole(vae, split):
    latents, state = latents_of(vae, 7), {}
    pieces = [vae.decode(latents[:, :, a:b], state) for a, b in parts(split)]
    assert [piece.shape[2] for piece in pieces] == [4 * b - 3 - max(4 * a - 3, 0) for a, b in parts(split)]
    torch.testing.assert_close(torch.cat(pieces, dim=2), vae.decode(latents), atol=5e-5, rtol=0)


@pytest.mark.usefixtures("playing")
@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_encoding_in_pieces_is_encoding_whole(vae, split):
    video, state = pixels(vae, 25), {}
    pieces = [vae.encode(video[:, :, max(4 * a - 3, 0) : 4 * b - 3], state) for a, b in parts(split)]
    assert [piece.shape[2] for piece in pieces] == list(split)
    torch.testing.assert_close(torch.cat(pieces, dim=2), vae.encode(video), atol=3e-5, rtol=0)


@pytest.mark.usefixtures("playing")
def test_two_streams_do_not_mix(vae):
    latents, first, second = latents_of(vae, 4), {}, {}
    mixed = []
    for j in range(4):
        mixed.append(vae.decode(latents[:, :, j : j + 1], first))
        vae.decode(-latents[:, :, j : j + 1], second)
    torch.testing.assert_close(torch.cat(mixed, dim=2), vae.decode(latents), atol=5e-5, rtol=0)


@pytest.mark.usefixtures("playing")
def test_a_state_kept_aside_can_be_used_again(vae):
    latents, state = latents_of(vae, 6), {}
    vae.decode(latents[:, :, :3], state)
    kept = dict(state)
    first = vae.decode(latents[:, :, 3:], state)
    assert torch.equal(vae.decode(latents[:, :, 3:], kept), first)


@pytest.mark.usefixtures("playing")
def test_fast_convolutions_are_the_same_convolutions(plain):
    fast, latents, video = copy.deepcopy(plain), latents_of(plain, 4), pixels(plain, 9)
    use_fast_convolutions(fast)
    assert "InPlaceSequential" in str(fast) and "DirectConv3d" in str(fast)
    assert {k: v.shape for k, v in fast.state_dict().items()} == {
        k: v.shape for k, v in plain.state_dict().items()
    }
    torch.testing.assert_close(fast.encode(video), plain.encode(video), atol=2e-5, rtol=0)
    ours, theirs = State(), State()
    for piece in latents.split(1, dim=2):
        torch.testing.assert_close(fast.decode(piece, ours), plain.decode(piece, theirs), atol=2e-5, rtol=0)


def test_the_past_does_not_know_the_future(vae):
    video = pixels(vae, 13)
    changed = video.clone()
    changed[:, :, 9:] = 0
    ours, theirs = vae.encode(video), vae.encode(changed)
    torch.testing.assert_close(ours[:, :, :3], theirs[:, :, :3], atol=1e-6, rtol=0)
    assert not torch.equal(ours[:, :, 3], theirs[:, :, 3])


def test_sizes_there_and_back(vae):
    video = pixels(vae, 9)
    latents = vae.encode(video)
    assert latents.shape == (1, 16, 3, 2, 3)
    back = vae.decode(latents)
    assert back.shape == video.shape and back.abs().max() <= 1


def long_way(vae, image, count):
    grey = image.new_zeros(*image.shape[:2], 4 * (count - 1), *image.shape[3:])
    return vae.encode(torch.cat((image, grey), dim=2))


def test_the_short_start_condition_equals_the_long_way(vae):
    image = pixels(vae, 1)
    condition = Condition(vae, image)
    count = condition.steady + 7
    short = torch.cat([condition.block(j, 3) for j in range(0, count - 2, 3)], dim=2)
    torch.testing.assert_close(short[:, 4:], long_way(vae, image, short.shape[2]), atol=2e-5, rtol=0)
    assert torch.equal(short[:, :4, 0], torch.ones_like(short[:, :4, 0])) and not short[:, :4, 1:].any()
    # Blocks may be asked for again, in any order, as after a restore.
    assert torch.equal(condition.block(3, 3), short[:, :, 3:6])
    assert torch.equal(condition.block(10**7, 3), short[:, :, -1:].expand(-1, -1, 3, -1, -1))
    assert condition.latents.shape[2] == condition.steady + 1 and not condition.state


def test_from_the_steady_state_on_nothing_changes(vae):
    """Bitwise, with one latent a call as the reference encodes; and whatever the image was."""
    steady, tails = Condition(vae, pixels(vae, 1)).steady, []
    for seed in (1, 2):
        image, state = pixels(vae, 1, seed), {}
        latents = [vae.encode(image, state)]
        grey = image.new_zeros(1, 3, 4, *image.shape[3:])
        latents += [vae.encode(grey, state) for _ in range(steady + 6)]
        assert not torch.equal(latents[0], latents[steady])
        tails += latents[steady:]
    assert all(torch.equal(latent, tails[0]) for latent in tails)


def test_the_steady_state_begins_exactly_where_the_image_is_out_of_sight(vae):
    image = pixels(vae, 1).requires_grad_()
    steady = Condition(vae, image.detach()).steady
    latents = long_way(vae, image, steady + 1)
    before, at = (
        torch.autograd.grad(latents[:, :, j].sum(), image, retain_graph=True)[0] for j in (steady - 1, steady)
    )
    assert before.any() and not at.any()


def test_the_published_encoder_looks_back_112_frames():
    with torch.device("meta"):
        assert VAE(VAEConfig()).encoder.look_back == 112


def test_what_a_stream_remembers_lies_channels_last_from_the_start():
    """Or else every later block would be laid out anew."""
    model, state = tiny_model(), State()
    model.vae.decode(torch.randn(1, 16, 1, 4, 6), state)
    assert len(state) > 3
    for layer, frames in state.items():
        if frames.shape[3] > 1:
            assert frames.is_contiguous(memory_format=torch.channels_last_3d), layer
