import numpy as np
import pytest
import torch

from mgdemo.model.rotary import time_rotation, video_rotation

FAR = 3 * 10**6  # the first latent frame of block 10^6: 5.5 days of play


def rotations(start):
    frames = torch.arange(start, start + 3)[None]
    return {"video": video_rotation(frames, 2, 3, 20), "time": time_rotation(frames, 8, 256.0)}


@pytest.mark.parametrize("start", [0, 1023, 7500, FAR])
def test_angles_are_those_of_float64_at_any_position(start):
    rotation = rotations(start)["time"]
    angles = np.arange(start, start + 3)[:, None] * 256.0 ** (-np.arange(4) / 4)
    np.testing.assert_allclose(rotation.cos[0, :, 0], np.cos(angles), atol=1e-7)
    np.testing.assert_allclose(rotation.sin[0, :, 0], np.sin(angles), atol=1e-7)


def test_axes_share_the_channels_as_published():
    """44, 42 and 42 of 128 channels for time, rows and columns; at the first token nothing turns."""
    rotation = video_rotation(torch.tensor([[0, 1]]), 2, 2, 128)
    angles = torch.atan2(rotation.sin, rotation.cos)[0, :, 0]
    token = {(f, y, x): angles[4 * f + 2 * y + x] for f in (0, 1) for y in (0, 1) for x in (0, 1)}
    theta = [10000.0 ** (-2 * i / n) for n in (44, 42, 42) for i in range(n // 2)]
    turns = torch.tensor(theta).split((22, 21, 21))
    zero = [torch.zeros_like(t) for t in turns]
    assert not token[0, 0, 0].any()
    for axis, place in enumerate([(1, 0, 0), (0, 1, 0), (0, 0, 1)]):
        torch.testing.assert_close(token[place], torch.cat([*zero[:axis], turns[axis], *zero[axis + 1 :]]))


@pytest.mark.parametrize("kind", ["video", "time"])
def test_attention_sees_only_distances_even_after_a_million_blocks(kind):
    torch.manual_seed(0)
    near, far = rotations(0)[kind], rotations(FAR)[kind]
    length = near.cos.shape[1]
    q, k = torch.randn(2, 1, length, 1, 20)
    scores = [torch.einsum("nqhd,nkhd->qk", turn(q), turn(k)) for turn in (near, far)]
    assert all(turn(q).isfinite().all() for turn in (near, far))
    torch.testing.assert_close(scores[0], scores[1], atol=2e-5, rtol=0)
    assert not torch.allclose(near(q), far(q), atol=1e-2)


def test_channels_beyond_the_rotated_ones_pass_through():
    x = torch.randn(1, 3, 2, 20)
    turned = rotations(5)["time"](x)
    assert torch.equal(turned[..., 8:], x[..., 8:])
    torch.testing.assert_close(turned[..., :8].norm(dim=-1), x[..., :8].norm(dim=-1))
    assert not torch.allclose(turned[..., :8], x[..., :8], atol=1e-2)


def test_the_precision_of_the_input_is_kept():
    assert rotations(5)["time"](torch.randn(1, 3, 2, 20).bfloat16()).dtype == torch.bfloat16
