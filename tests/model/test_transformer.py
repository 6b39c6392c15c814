import pytest
import torch

from devtools.tiny import tiny_config
from mgdemo.actions import MODES
from mgdemo.model.action import Actions, window_rows
from mgdemo.model.transformer import Transformer


def flow(net, start_frame, x, context, timestep=500.0, seed=0):
    """One pass with empty caches over a block that begins at some latent frame."""
    generator = torch.manual_seed(seed)
    config, frames = net.config, x.shape[2]
    rows = window_rows(config.action_config, frames)
    keyboard = torch.rand(1, rows, config.action_config.keyboard_dim_in, generator=generator)
    mouse = torch.rand(1, rows, 2, generator=generator) if config.action_config.enable_mouse else None
    condition = torch.randn(1, 20, *x.shape[2:], generator=generator)
    memory = net.memory(context, *x.shape[-2:])
    memory.begin_block(start_frame, frames)
    inputs = net.block_inputs(start_frame, condition, Actions(keyboard, mouse))
    return net(x, torch.full((1, frames), timestep), inputs, memory)


@pytest.fixture(params=MODES)
def net(request):
    torch.manual_seed(0)
    config = tiny_config(request.param).transformer
    config.local_attn_size = 3  # exactly one block: what it sees does not depend on where it is
    return Transformer(config).requires_grad_(False)


def test_a_block_is_the_same_a_million_blocks_later(net):
    x, context = torch.randn(1, 16, 3, 4, 6), torch.randn(1, 5, 16)
    early = flow(net, 0, x, context)
    assert early.isfinite().all() and early.std() > 0.01
    for start in (3, 1023, 3 * 10**6):
        torch.testing.assert_close(flow(net, start, x, context), early, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("frames", "height", "width"), [(1, 2, 2), (2, 2, 10), (3, 8, 2)])
def test_any_grid_of_whole_patches(net, frames, height, width):
    x, context = torch.randn(1, 16, frames, height, width), torch.randn(1, 5, 16)
    assert flow(net, 0, x, context).shape == x.shape


def test_every_input_matters(net):
    x, context = torch.randn(1, 16, 3, 4, 6), torch.randn(1, 5, 16)
    plain = flow(net, 0, x, context)
    assert torch.equal(flow(net, 0, x, context), plain)
    for other in (
        flow(net, 0, x + 0.1, context),
        flow(net, 0, x, -context),
        flow(net, 0, x, context, timestep=600.0),
        flow(net, 0, x, context, seed=1),
    ):
        assert (other - plain).abs().max() > 1e-4


def test_bfloat16_is_close(net):
    x, context = torch.randn(1, 16, 3, 4, 6), torch.randn(1, 5, 16)
    plain, low = flow(net, 0, x, context), flow(net.bfloat16(), 0, x, context).float()
    assert (low - plain).square().mean().sqrt() < 0.03 * plain.std()
