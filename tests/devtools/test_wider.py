"""A widened VAE computes the same."""

import torch

from devtools.tiny import tiny_model
from devtools.wider import wider
from mgdemo.model.vae import State


def test_a_wider_vae_makes_the_same_latents_and_frames():
    vae = tiny_model().vae
    made, video = wider(vae, 4), torch.rand(1, 3, 9, 16, 32, generator=torch.manual_seed(0)) * 2 - 1
    latents = vae.encode(video)
    torch.testing.assert_close(made.encode(video), latents, atol=1e-5, rtol=1e-5)
    assert sum(p.numel() for p in made.parameters()) > 8 * sum(p.numel() for p in vae.parameters())
    ours, plain = State(), State()
    for part in latents.split((1, 2), dim=2):
        torch.testing.assert_close(made.decode(part, ours), vae.decode(part, plain), atol=1e-5, rtol=1e-5)
