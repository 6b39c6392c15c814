"""Published sizes with random weights: for speed and for play that nobody looks at."""

from __future__ import annotations

import torch

from mgdemo.checkpoints import config_named
from mgdemo.config import CheckpointConfig, Optimization
from mgdemo.interfaces import Progress
from mgdemo.loading import use_expandable_segments, warm_up
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE
from mgdemo.world import WorldModel


def random_model(config: CheckpointConfig, device: torch.device, dtype: torch.dtype) -> WorldModel:
    """A model with PyTorch's initial weights, made on the device; the same ones each time."""
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with device:
            nets = Transformer(config.transformer), VAE(config.vae), ImageEncoder(config.image_encoder)
    finally:
        torch.set_default_dtype(torch.float32)
    return WorldModel(config, *nets)


def load(
    checkpoint: str, *, device: str, progress: Progress | None = None, optimization: str = ""
) -> WorldModel:
    """A `mgdemo.interfaces.Loader` for a GPU: a checkpoint of the catalog in bfloat16, ready to play.

    In place of an embedded one, which is there without a download, comes the published one of its mode.
    """
    use_expandable_segments()
    config = config_named(checkpoint.removesuffix("-tiny"))
    model = random_model(config, torch.device("cuda", 0), torch.bfloat16)
    model.optimize(Optimization.parse(optimization))
    warm_up(model, progress)
    return model
