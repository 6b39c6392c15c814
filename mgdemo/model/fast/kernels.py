"""Whether our own kernels can run here, and the modules on them in place of the plain ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from mgdemo.errors import UserError
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE

log = logging.getLogger(__name__)


class OptimizationError(UserError):
    """An optimization that this machine does not allow; the message says what to do."""


def kernels_run(device: torch.device, *, fp8: bool = False, int8: bool = False) -> bool:
    """Whether our kernels run on a device: an NVIDIA GPU, with Triton.

    Raises OptimizationError for FP8 and INT8 where they cannot be.
    """
    usable = device.type == "cuda" and _has_triton()
    if fp8 and not usable:
        raise OptimizationError("FP8 needs our own kernels, that is an NVIDIA GPU and Triton: leave fp8 out.")
    if fp8 and torch.cuda.get_device_capability(device) < (8, 9):
        raise OptimizationError("This GPU does not compute in FP8 (compute capability 8.9): leave fp8 out.")
    if int8 and not usable:
        raise OptimizationError(
            "INT8 needs our own kernels, that is an NVIDIA GPU and Triton: leave int8 out."
        )
    return usable


def replace_layers(
    transformer: Transformer,
    vae: VAE,
    *,
    fp8: bool = False,
    int8: bool = False,
    pictures: Sequence[Tensor] = (),
) -> None:
    """Replace the transformer's layers and, if its sizes fit, the VAE's decoder, where `kernels_run`.

    pictures: for INT8, as of `calibrate`. Raises OptimizationError for FP8 that the layers are too odd for.
    """
    from mgdemo.model.fast.calibration import calibrate
    from mgdemo.model.fast.layers import FusedLayers
    from mgdemo.model.fast.row_decoder import RowDecoder, fits

    if fp8 and (odd := [width for width in _widths(transformer) if width % 16]):
        raise OptimizationError(
            f"FP8 needs layers whose widths are multiples of 16; this checkpoint has {odd[0]}: leave fp8 out."
        )
    transformer.set_submodule("blocks", FusedLayers(transformer.blocks, fp8))
    decoder = RowDecoder(vae.decoder) if fits(vae.decoder) else None
    if decoder is not None:
        vae.set_submodule("decoder", decoder)
    if int8 and decoder is not None and pictures:
        calibrate(vae, decoder, pictures)
    elif int8:
        log.warning("The decoder computes in 16 bits: INT8 needs the published sizes, and a picture to try.")


def _widths(transformer: Transformer) -> list[int]:
    """Of what the layers' products read, which the GPU copies 16 bytes at a time."""
    config, actions = transformer.config, transformer.config.action_config
    return [config.dim, config.ffn_dim, *([actions.mouse_hidden_dim] if actions.enable_mouse else [])]


def _has_triton() -> bool:
    """It comes with PyTorch for NVIDIA GPUs on Linux."""
    try:
        import triton  # noqa: F401
    except ImportError:
        log.warning("Triton is not installed: without our own kernels the model is slower.")
        return False
    return True
