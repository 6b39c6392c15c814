"""How large the inputs of the decoder's convolutions become, seen on pictures, before they get 8 bits."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mgdemo.model.fast.row_decoder import RowConv, RowDecoder
from mgdemo.model.vae import VAE

FRAMES = 9  # of a pan over a picture: three latents
PAN = 8  # pixels a frame
MARGIN = 1.2  # over the largest value seen; what exceeds it is cut off


@torch.inference_mode()
def calibrate(vae: VAE, decoder: RowDecoder, pictures: Iterable[Tensor]) -> None:
    """Let the large convolutions of `decoder`, which is the VAE's, compute in 8 bits.

    pictures: [1, 3, 1, H, W] in [-1, 1], on the VAE's device and in its type; at least one.
    """
    most: dict[RowConv, Tensor] = {}

    def watched(conv: RowConv) -> RemovableHandle:
        def hook(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            largest = given[0].amax()
            most[conv] = torch.maximum(most[conv], largest) if conv in most else largest

        return conv.conv.register_forward_pre_hook(hook)

    handles = [watched(conv) for conv in decoder.large_convolutions()]
    try:
        for picture in pictures:
            pan = torch.cat([picture.roll(PAN * i, dims=-1) for i in range(FRAMES)], dim=2)
            vae.decode(vae.encode(pan))  # the first piece of a stream, which the plain convolutions decode
    finally:
        for handle in handles:
            handle.remove()
    decoder.use_eight_bits({conv: MARGIN * float(value) for conv, value in most.items()})
