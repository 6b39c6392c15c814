"""Latents of long plays in training places, by a world as it ships: what a decoder has to show in play."""

from __future__ import annotations

import time

import torch
from PIL import Image
from torch import Tensor

from mgdemo.blocks import FPS
from mgdemo.loading import load_world_model
from mgdemo.model.action import Actions
from training import motion, renderer


@torch.inference_mode()
def played(checkpoint: str, count: int, seconds: float, *, seed: int, device: str) -> Tensor:
    """Latents [count, 16, F, h, w] in float16 of plays under random actions, each in another place."""
    begin = time.perf_counter()
    model = load_world_model(checkpoint, device=device)
    generator = torch.Generator().manual_seed(seed)
    places = motion.sample_worlds(count, generator, mode=model.mode).to(device)
    starts = motion.sample_start(places, generator)
    actions = motion.sample_actions(count, round(seconds * FPS), generator, model.mode)
    pictures = renderer.render(places, starts[:, None], *model.size)[:, 0].permute(0, 2, 3, 1).cpu().numpy()
    plays = []
    for index, (picture, keyboard, mouse) in enumerate(zip(pictures, *actions, strict=True)):
        track = motion.as_track(model.mode, keyboard, mouse).padded()
        world = model.start(Image.fromarray(picture), seed=index)
        blocks = [world.step_latents(Actions.from_track(track.block(b))) for b in range(track.blocks)]
        plays.append(torch.cat(blocks, dim=2).half())
    taken = time.perf_counter() - begin
    print(f"{checkpoint}: played {count} times {seconds:.0f} s in {taken:.0f} s", flush=True)
    return torch.cat(plays).clone()
