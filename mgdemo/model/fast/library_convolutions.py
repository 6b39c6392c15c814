"""The VAE's convolutions as PyTorch and oneDNN compute them fastest, on any device."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.model.vae import VAE
from mgdemo.model.vae_layers import CausalConv3d, RMSNorm, Sequential, State, layout

# What oneDNN computes in on this machine.
ONEDNN = {torch.float32} if torch.backends.mkldnn.is_available() else set()
if ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported():
    ONEDNN.add(torch.bfloat16)


def use_fast_convolutions(vae: VAE) -> None:
    """Replace modules of a VAE; names and weights stay."""
    for name, module in list(vae.named_modules()):
        if type(module) is CausalConv3d:
            vae.set_submodule(name, DirectConv3d(module))
    for name, module in list(vae.named_modules()):
        if type(module) is Sequential and isinstance(module[0], RMSNorm):
            vae.set_submodule(name, InPlaceSequential(*module))
    for module in vae.modules():  # fast convolutions of CPUs and GPUs want their kernels channels last
        if isinstance(module, nn.Conv3d):
            module.to(memory_format=torch.channels_last_3d)  # pyright: ignore[reportCallIssue]
        elif isinstance(module, nn.Conv2d):
            module.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


class DirectConv3d(CausalConv3d):
    """On a CPU, PyTorch takes a slow kernel for small inputs; oneDNN is 4 to 10 times faster there."""

    def __init__(self, plain: CausalConv3d):
        with torch.device("meta"):
            super().__init__(plain.in_channels, plain.out_channels, plain.kernel_size, plain.stride[0])
        self.weight, self.bias = plain.weight, plain.bias

    def convolve(self, x: Tensor) -> Tensor:
        if x.is_cpu and x.dtype in ONEDNN:
            ones, padding = (1, 1, 1), cast(tuple[int, ...], self.padding)
            return torch.mkldnn_convolution(x, self.weight, self.bias, padding, self.stride, ones, groups=1)
        return super().convolve(x)


class InPlaceSequential(Sequential):
    """Norm, SiLU and convolution, once or more often.

    In a stream's later pieces, what a convolution reads is written right behind the frames that it remembers:
    a decoder on a CPU spends a sixth of its time on what is copied otherwise.
    """

    def forward(self, x: Tensor, state: State) -> Tensor:
        layers = [layer for layer in self if not isinstance(layer, nn.Identity)]
        for norm, _, conv in zip(layers[::3], layers[1::3], layers[2::3], strict=True):
            if torch.is_grad_enabled() or conv not in state:
                x = conv(F.silu(norm(x)), state)
            else:
                x = self._convolve(cast(RMSNorm, norm), cast(CausalConv3d, conv), x, state)
        return x

    @staticmethod
    def _convolve(norm: RMSNorm, conv: CausalConv3d, x: Tensor, state: State) -> Tensor:
        past, (shrink, gain) = state[conv], norm.factors(x)
        known, frames = past.shape[2], x.shape[2]
        shape = (*x.shape[:2], known + frames, *x.shape[3:])
        both = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout(x))
        both[:, :, :known] = past
        now = both[:, :, known:]
        F.silu(torch.mul(x, shrink, out=now).mul_(gain), inplace=True)
        state[conv] = both[:, :, -known:]
        return conv.convolve(both)
