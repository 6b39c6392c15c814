"""Tiny models with random weights for tests and benchmarks: all classes and paths of the real ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from PIL import Image

from mgdemo.actions import MODES
from mgdemo.config import (
    ActionConfig,
    CheckpointConfig,
    ImageEncoderConfig,
    SamplingConfig,
    TransformerConfig,
    VAEConfig,
)
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE
from mgdemo.world import World, WorldModel


def tiny_config(
    mode: str = "universal",
    *,
    steps: tuple[int, ...] = (1000, 500),
    size: tuple[int, int] = (32, 48),
    layers: int = 2,
    acting: int = 1,
    width: int = 24,
    res_blocks: int = 1,
) -> CheckpointConfig:
    """Pictures of `size` (height and width, multiples of 16); the first layers act; a window of 4."""
    actions = ActionConfig(
        blocks=list(range(acting)),
        keyboard_dim_in=MODES[mode].keyboard_dim,
        enable_mouse=MODES[mode].has_mouse,
        heads_num=2,
        hidden_size=4,
        img_hidden_size=width,
        keyboard_hidden_dim=16,
        mouse_hidden_dim=16,
    )
    return CheckpointConfig(
        name=f"{mode}-tiny",
        title=f"Tiny {mode}",
        mode=mode,
        height=size[0],
        width=size[1],
        transformer=TransformerConfig(
            action_config=actions,
            dim=width,
            ffn_dim=32,
            freq_dim=16,
            num_heads=2,
            num_layers=layers,
            local_attn_size=4,
            img_dim=16,
        ),
        vae=VAEConfig(
            dim=4,
            dim_mult=[1, 1, 1 + bool(res_blocks)],  # without residual blocks nothing can widen
            num_res_blocks=res_blocks,
            temporal_downsample=[True, True],
            pixel_shuffle=2,
        ),
        image_encoder=ImageEncoderConfig(
            image_size=28, patch_size=14, dim=16, mlp_ratio=2, out_dim=8, num_heads=2, num_layers=2
        ),
        sampling=SamplingConfig(list(steps)),
    )


def tiny_model(mode: str = "universal", seed: int = 0, *, device: str = "cpu", **options) -> WorldModel:
    """A model with random weights, the same for the same seed; for the options see `tiny_config`."""
    config = tiny_config(mode, **options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        nets = Transformer(config.transformer), VAE(config.vae), ImageEncoder(config.image_encoder)
    return WorldModel(config, *(net.to(device) for net in nets))


def load(
    checkpoint: str, *, device: str = "cpu", progress: Callable[[float, str], None] | None = None
) -> WorldModel:
    """In place of `mgdemo.loading.load_world_model`; `checkpoint` is a mode, as in "universal-tiny"."""
    if progress:
        progress(1.0, "random weights")
    return tiny_model(checkpoint.removesuffix("-tiny"))


def tiny_image(seed: int = 0, width: int = 60, height: int = 40) -> Image.Image:
    """A picture of smooth random colors."""
    noise = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)


def held_tensors(world: World) -> list[torch.Tensor]:
    """Every tensor that a world keeps for itself, each storage once; the model's are not its own."""
    found: dict[int, torch.Tensor] = {}
    queue: list = [world]
    while queue:
        thing = queue.pop()
        if isinstance(thing, torch.Tensor):
            found[thing.untyped_storage()._cdata] = thing
        elif isinstance(thing, dict):
            queue += thing.values()
        elif isinstance(thing, list | tuple):
            queue += thing
        elif type(thing).__module__.startswith("mgdemo.") and not isinstance(
            thing, WorldModel | torch.nn.Module
        ):
            queue += vars(thing).values()
    return list(found.values())
