"""Loading a checkpoint's weights onto a device, and making it fast there."""

from __future__ import annotations

import logging
import os
from dataclasses import replace

import torch
from PIL import Image

from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import Located, configs, resolve, start_images
from mgdemo.config import Optimization
from mgdemo.devices import (
    OUT_OF_MEMORY,
    DeviceError,
    choose_device,
    cpu_instead,
    device_failed,
    make_current,
    precision,
)
from mgdemo.errors import first_line
from mgdemo.interfaces import Progress
from mgdemo.model.fast.kernels import OptimizationError, check_kernels
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE
from mgdemo.picture import open_picture
from mgdemo.weight_files.load import load_weights
from mgdemo.weight_files.recognize import expected
from mgdemo.weight_files.tables import weight_size
from mgdemo.world import WorldModel

READ = 0.6  # share of loading on a GPU that is reading weights; the rest is warming up
WARM_BLOCKS = 5  # until the caches are full and the start condition is steady
PLACES = 3  # pictures that the decoder is tried on before it computes in 8 bits
ALLOCATOR = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF")  # the older name is that of PyTorch before 2.9

log = logging.getLogger(__name__)


def load_world_model(
    checkpoint: str | Located,
    *,
    device: str = "auto",
    optimization: Optimization | str = "",
    progress: Progress | None = None,
) -> WorldModel:
    """Load a checkpoint: a name of the catalog, a path, or what `resolve` found, ready to play.

    device: see `choose_device`. optimization: what makes it fast on a GPU, or the words of
    `Optimization.parse`; what fails is left out, unless it was asked for: FP8 and INT8. progress: hears the
    share done, 0 to 1, and what is being done. Raises CheckpointError, ConfigError, DeviceError or
    OptimizationError with a cure.
    """
    if isinstance(optimization, str):
        optimization = Optimization.parse(optimization)
    located = resolve(checkpoint)
    if device != "cpu" and torch.cuda.is_available():
        use_expandable_segments()
    parameters = sum(tensor.numel() for tensor in expected("transformer", located.config).values())
    target = choose_device(device, located.config.title, parameters)
    make_current(target)
    dtype = precision(target)
    if optimization.eight_bits:
        check_kernels(target, fp8=optimization.fp8, int8=optimization.int8)
    if target.type != "cuda":
        model = _load(located, target, dtype, progress)
        model.notice = cpu_instead() if device == "auto" else ""
        return model
    if dtype == torch.float32:
        optimization = replace(optimization, kernels=False)  # those are for bfloat16
    try:
        return _load_on_gpu(located, target, dtype, optimization, progress)
    except torch.OutOfMemoryError as error:
        raise DeviceError(OUT_OF_MEMORY) from error


def _load_on_gpu(
    located: Located,
    device: torch.device,
    dtype: torch.dtype,
    optimization: Optimization,
    progress: Progress | None,
) -> WorldModel:
    model = _load(located, device, dtype, progress, until=READ)
    try:
        model.optimize(optimization, places(located.config.mode) if optimization.int8 else ())
        warm_up(model, progress and (lambda share, text: progress(READ + (1 - READ) * share, text)))
        return model
    except (torch.OutOfMemoryError, OptimizationError):
        raise
    except Exception as error:  # compilers and drivers fail in ways of their own
        if optimization.eight_bits:  # they were asked for: nothing else takes their place
            if device_failed(error):
                raise
            name, reason = located.config.name, first_line(error)[:200]
            raise OptimizationError(
                f"{name} does not run in 8 bits on {device} ({reason}): leave out fp8 and int8."
            ) from error
        log.warning(
            "%s could not be optimized for %s: it runs slower. MGDEMO_OPTIMIZATION controls what is tried.",
            located.config.name,
            device,
            exc_info=True,
        )
    del model  # before there are two
    return _load(located, device, dtype, progress)


def places(mode: str) -> list[Image.Image]:
    """Some pictures of a mode's worlds, for `WorldModel.optimize`."""
    name = next(config.name for config in configs() if config.mode == mode)
    return [open_picture(path) for path in start_images(name)[:PLACES]]


def use_expandable_segments() -> None:
    """Let the GPU's memory grow without gaps: a published checkpoint needs that on 12 GB.

    PyTorch reads the setting when a GPU is first used, so this comes before. A user's own setting stays.
    """
    if not any(name in os.environ for name in ALLOCATOR):
        os.environ.update(dict.fromkeys(ALLOCATOR, "expandable_segments:True"))


def warm_up(model: WorldModel, progress: Progress | None = None) -> None:
    """Play a little, so that everything is compiled and captured that a session will need."""
    height, width = model.size
    world = model.start(Image.new("RGB", (width, height)))
    held = [MODES[model.mode].controls[0].name]  # while a picture stands, not all is used
    for block in range(WARM_BLOCKS):
        if progress:
            progress(block / WARM_BLOCKS, "Preparing the engine")
        world.step(ActionTrack.hold(model.mode, held, frames=world.frames_next))
    del world
    if model.device.type == "cuda":
        torch.cuda.empty_cache()  # compiling and capturing took more than playing will


def _load(
    located: Located,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress | None = None,
    until: float = 1.0,
) -> WorldModel:
    """Read the weights; `progress` goes to `until`."""
    config = located.config
    with torch.device("meta"):
        nets = {
            "transformer": Transformer(config.transformer),
            "vae": VAE(config.vae),
            "image_encoder": ImageEncoder(config.image_encoder),
        }
    sizes = {part: weight_size(getattr(located, part)) for part in nets}
    done = 0
    for part, net in nets.items():

        def tell(share: float, text: str, before: int = done, size: int = sizes[part]) -> None:
            if progress:
                progress(until * (before + share * size) / sum(sizes.values()), text)

        load_weights(net, getattr(located, part), part, dtype=dtype, device=device, progress=tell)
        done += sizes[part]
    return WorldModel(config, **nets)
