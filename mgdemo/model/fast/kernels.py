"""Whether our own kernels can run here, and the modules on them in place of the plain ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch
from torch import Tensor

from mgdemo.devices import BFLOAT16
from mgdemo.errors import UserError
from mgdemo.model.transformer import Transformer
from mgdemo.model.vae import VAE

log = logging.getLogger(__name__)


class OptimizationError(UserError):
    """An optimization that this machine does not allow; the message says what to do."""


def check_kernels(device: torch.device, *, fp8: bool = False, int8: bool = False) -> bool:
    """Whether our kernels can run on a device: an NVIDIA GPU, with Triton.

    Raises OptimizationError where FP8 or INT8 is asked for and cannot be had.
    """
    usable = device.type == "cuda" and _has_triton()
    if fp8 and not usable:
        raise OptimizationError("FP8 needs an NVIDIA GPU and Triton: leave out fp8.")
    if fp8 and torch.cuda.get_device_capability(device) < (8, 9):
        raise OptimizationError(
            "This GPU cannot compute in FP8 (compute capability below 8.9): leave out fp8."
        )
    if int8 and not usable:
        raise OptimizationError("INT8 needs an NVIDIA GPU and Triton: leave out int8.")
    if int8 and torch.cuda.get_device_capability(device) < BFLOAT16:
        raise OptimizationError(
            "This GPU has no bfloat16, beside which INT8 is used (compute capability below 8.0): leave out "
            "int8."
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
    """Replace the transformer's layers and, if its sizes fit, the VAE's decoder, where `check_kernels`
    allows it.

    pictures: for INT8, see `calibrate`. Raises OptimizationError if FP8 is asked for and a layer's width is
    not a multiple of 16, or INT8 and the decoder does not fit.
    """
    from mgdemo.model.fast.calibration import calibrate
    from mgdemo.model.fast.layers import FusedLayers
    from mgdemo.model.fast.row_decoder import RowDecoder, fits

    if fp8 and (odd := [width for width in _widths(transformer) if width % 16]):
        raise OptimizationError(
            f"FP8 needs layers whose widths are multiples of 16; this checkpoint has {odd[0]}: leave out fp8."
        )
    if int8 and not (fits(vae.decoder) and pictures):
        raise OptimizationError(
            "INT8 needs a decoder of widths like the published one's, and a picture to try: leave out int8."
        )
    transformer.set_submodule("blocks", FusedLayers(transformer.blocks, fp8))
    if fits(vae.decoder):
        decoder = RowDecoder(vae.decoder)
        vae.set_submodule("decoder", decoder)
        if int8:
            calibrate(vae, decoder, pictures)


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
