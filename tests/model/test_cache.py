import pytest
import torch

from mgdemo.model.attention import attention
from mgdemo.model.cache import LayerMemory, Memory, Ring

TOKENS, HEADS, WIDTH = 2, 2, 4


class Rolling:
    """The plain way: the last `window` latent frames in order; a block's passes replace its own."""

    def __init__(self, window):
        self.window, self.past = window, torch.zeros(2, 1, 0, HEADS, WIDTH)

    def attend(self, q, k, v, last):
        seen = torch.cat((self.past, torch.stack((k, v))), dim=2)[:, :, -self.window * TOKENS :]
        if last:
            self.past = seen
        return attention(q, *seen)


@pytest.mark.parametrize("frames", [1, 2, 3])
@pytest.mark.parametrize("window", [3, 4, 5, 6, 7])
def test_a_ring_is_a_rolling_cache(window, frames):
    torch.manual_seed(window)
    ring, rolling = Ring.empty(1, window, TOKENS, HEADS, WIDTH, torch.zeros(1)), Rolling(window)
    for block in range(12):
        ring.begin_block(block * frames, frames)
        for last in (False, False, True):
            q, k, v = torch.randn(3, 1, frames * TOKENS, HEADS, WIDTH)
            torch.testing.assert_close(ring.attend(q, k, v), rolling.attend(q, k, v, last))
        assert ring.filled == rolling.past.shape[2] == min((block + 1) * frames, window) * TOKENS
        newest = ring.slots[-1] + 1
        order = torch.arange(newest - ring.filled, newest) % ring.filled
        assert torch.equal(torch.stack((ring.k[:, order], ring.v[:, order])), rolling.past)


def test_a_block_must_fit_the_window():
    with pytest.raises(ValueError, match="4 latent frames does not fit a window of 3"):
        Ring.empty(1, 3, TOKENS, HEADS, WIDTH, torch.zeros(1)).begin_block(0, 4)


def test_a_snapshot_is_a_copy_of_every_ring():
    like = torch.zeros(1)
    rings = [Ring.empty(1, 4, 1, HEADS, WIDTH, like) for _ in range(4)]
    memory = Memory([LayerMemory(rings[0], (like, like), *rings[1:3]), LayerMemory(rings[3], (like, like))])
    memory.begin_block(0, 3)

    def fill(value):
        for ring in rings:
            new = torch.full((1, 3, HEADS, WIDTH), value)
            ring.attend(new, new, new)

    fill(1.0)
    snapshot = memory.snapshot()
    fill(2.0)
    for _ in range(2):
        memory.restore(snapshot)
        assert all(ring.k.sum() == ring.v.sum() == 3 * HEADS * WIDTH for ring in rings)
        fill(3.0)
