"""Where the 8-bit ranges of the decoder's convolutions end, chosen by decoding pictures."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from mgdemo.model.fast.pixel_norm import Code
from mgdemo.model.fast.row_decoder import RowConv, RowDecoder
from mgdemo.model.vae import VAE

FRAMES = 9  # of a pan over a picture: three latents
PAN = 8  # pixels a frame
SAMPLE = 2**18  # values of a convolution's input that its range is chosen by
ENDS = torch.linspace(0.2, 1.2, 41)  # of the largest value seen: where a range may end


@torch.inference_mode()
def calibrate(vae: VAE, decoder: RowDecoder, pictures: Iterable[Tensor]) -> None:
    """Let the large convolutions of `decoder`, which is the VAE's, compute in 8 bits.

    pictures: [1, 3, 1, H, W] in [-1, 1], on the VAE's device and in its type; at least one.
    """
    seen: dict[RowConv, list[Tensor]] = {}

    def watched(conv: RowConv) -> RemovableHandle:
        def hook(_module: nn.Module, given: tuple[Tensor, ...]) -> None:
            values = given[0].flatten()
            seen.setdefault(conv, []).append(values[:: max(1, len(values) // SAMPLE)].float())

        return conv.conv.register_forward_pre_hook(hook)

    handles = [watched(conv) for conv in decoder.large_convolutions()]
    try:
        for picture in pictures:
            pan = torch.cat([picture.roll(PAN * i, dims=-1) for i in range(FRAMES)], dim=2)
            vae.decode(vae.encode(pan))  # the first piece of a stream, which the plain convolutions decode
    finally:
        for handle in handles:
            handle.remove()
    decoder.use_eight_bits({conv: best_end(torch.cat(values)) for conv, values in seen.items()})


def best_end(values: Tensor) -> float:
    """Where 8-bit codes of values [N] end so that their mean square error is least: what lies beyond is cut
    off, and all others get finer steps."""
    ends = [float(end) for end in ENDS.to(values) * values.amax().clamp_min(1e-6)]
    codes = (Code.up_to(end) for end in ends)
    errors = [(code.decode(code.encode(values)) - values).square().mean() for code in codes]
    return ends[int(torch.stack(errors).argmin())]
