"""The causal 3D VAE of Wan 2.1 (arXiv:2503.20314): encoder and decoder that work in a stream.

Every operator is causal in time, so a video may be fed in pieces of any length with the same result, provided
that each temporal convolution remembers the last frames it saw, in the stream's `State`. Tensors are
[B, C, T, H, W], pixels in [-1, 1].
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.config import VAEConfig
from mgdemo.model.constants import constant


class State(dict[nn.Module, Tensor]):
    """What a stream remembers: the last frames that each temporal convolution saw; empty at the start.

    New frames come in new tensors, so a copy of the dictionary is a second stream that goes on from here.
    """

    def __setitem__(self, layer: nn.Module, frames: Tensor) -> None:
        """Keep a copy: what the frames are part of need not live on."""
        super().__setitem__(layer, frames.clone())

    def room(self, layer: nn.Module) -> Tensor:
        """A tensor into which a layer's next frames can be written, and then given to `replace`."""
        return torch.empty_like(self[layer])

    def replace(self, layer: nn.Module, frames: Tensor) -> None:
        """Let others, perhaps of another shape, be what a layer remembers."""
        super().__setitem__(layer, frames)

    def to(self, device: torch.device | str) -> State:
        """A copy on a device."""
        return State((layer, t.to(device, copy=True)) for layer, t in self.items())

    @property
    def tensors(self) -> list[Tensor]:
        return list(self.values())

    def place(self, tensors: list[Tensor]) -> None:
        """Put others in the place of its `tensors`."""
        self.update(zip(self, tensors, strict=True))


# What oneDNN computes in on this machine.
ONEDNN = {torch.float32} if torch.backends.mkldnn.is_available() else set()
if ONEDNN and torch.ops.mkldnn._is_mkldnn_bf16_supported():
    ONEDNN.add(torch.bfloat16)


def frames_first(x: Tensor) -> Tensor:
    """[B, C, T, H, W] -> [B*T, C, H, W]."""
    return x.transpose(1, 2).flatten(0, 1)


def frames_third(x: Tensor, batch: int) -> Tensor:
    """[B*T, C, H, W] -> [B, C, T, H, W]."""
    return x.unflatten(0, (batch, -1)).transpose(1, 2)


def after_zeros(x: Tensor, frames: int) -> Tensor:
    """x [B, C, T, H, W] after `frames` of zeros, channels last if x is: it decides how all later states lie.

    Padding alone does not see that layout where B = T = 1, and each later block would pay for it.
    """
    return F.pad(x, (0, 0, 0, 0, frames, 0)).contiguous(memory_format=layout(x))


def layout(x: Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last_3d)
    return torch.channels_last_3d if last else torch.contiguous_format


def conv3d(x: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int) -> Tensor:
    """A 3D convolution, `stride` in time and `padding` in space.

    On the CPU, PyTorch takes a slow kernel for small inputs; oneDNN is 4 to 10 times faster there.
    """
    stride, padding = (stride, 1, 1), (0, padding, padding)
    if x.is_cpu and x.dtype in ONEDNN:
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, (1, 1, 1), 1)
    return F.conv3d(x, weight, bias, stride, padding)


class CausalConv3d(nn.Conv3d):
    """A convolution that sees no later frame: it looks back `kernel - stride` frames, zeros at the start."""

    def __init__(self, inputs: int, outputs: int, kernel: int | tuple[int, int, int], stride: int = 1):
        super().__init__(inputs, outputs, kernel)
        self.time_stride = stride
        self.look_back = self.kernel_size[0] - stride
        self.space_padding = self.kernel_size[1] // 2

    def forward(self, x: Tensor, state: State) -> Tensor:
        if self.look_back:
            x = torch.cat((state[self], x), dim=2) if self in state else after_zeros(x, self.look_back)
            state[self] = x[:, :, -self.look_back :]
        return self.after_past(x)

    def after_past(self, x: Tensor) -> Tensor:
        """The convolution of frames that begin with those it looks back to."""
        return conv3d(x, self.weight, self.bias, self.time_stride, self.space_padding)


class RMSNorm(nn.Module):
    """L2 normalisation over the channels, times sqrt(C) and a gain."""

    def __init__(self, channels: int, axes: int = 3):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, *(1,) * axes))

    def factors(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What x is to be multiplied with, one after the other."""
        length = torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(1e-12)
        return length.reciprocal(), self.gamma * x.shape[1] ** 0.5

    def forward(self, x: Tensor) -> Tensor:
        shrink, gain = self.factors(x)
        return x * shrink * gain


def convolve_activated(norm: RMSNorm, conv: CausalConv3d, x: Tensor, state: State) -> Tensor:
    """conv(silu(norm(x))). In a stream's later pieces it is written right behind the frames that the
    convolution remembers: a decoder on a CPU spends a sixth of its time on what is copied otherwise."""
    if torch.is_grad_enabled() or conv not in state:
        return conv(F.silu(norm(x)), state)
    past, (shrink, gain) = state[conv], norm.factors(x)
    known, frames = past.shape[2], x.shape[2]
    shape = (*x.shape[:2], known + frames, *x.shape[3:])
    both = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout(x))
    both[:, :, :known] = past
    now = both[:, :, known:]
    F.silu(torch.mul(x, shrink, out=now).mul_(gain), inplace=True)
    state[conv] = both[:, :, -known:]
    return conv.after_past(both)


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.residual = nn.Sequential(
            RMSNorm(inputs),
            nn.SiLU(),
            CausalConv3d(inputs, outputs, 3),
            RMSNorm(outputs),
            nn.SiLU(),
            nn.Identity(),  # the published numbering counts a dropout here
            CausalConv3d(outputs, outputs, 3),
        )
        self.shortcut = CausalConv3d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, state: State) -> Tensor:
        skip = x if self.shortcut is None else self.shortcut(x, state)
        first, _, enter, second, _, _, leave = self.residual
        x = convolve_activated(first, enter, x, state)
        return convolve_activated(second, leave, x, state) + skip


class AttentionBlock(nn.Module):
    """Single-head self-attention over the pixels of each frame."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = RMSNorm(channels, axes=2)
        self.to_qkv = nn.Conv2d(channels, 3 * channels, 1)
        self.proj = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor, state: State) -> Tensor:
        flat = frames_first(x)
        q, k, v = self.to_qkv(self.norm(flat)).flatten(2).unsqueeze(1).transpose(2, 3).chunk(3, dim=-1)
        seen = F.scaled_dot_product_attention(q, k, v).squeeze(1).transpose(1, 2)
        return x + frames_third(self.proj(seen.reshape(flat.shape)), x.shape[0])


class Downsample(nn.Module):
    """Halves height and width and, if `temporal`, time; the first frame of a stream stays alone."""

    def __init__(self, channels: int, temporal: bool):
        super().__init__()
        # One row and column of zeros at the bottom and right only.
        self.resample = nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(channels, channels, 3, stride=2))
        self.time_conv = CausalConv3d(channels, channels, (3, 1, 1), stride=2) if temporal else None

    def forward(self, x: Tensor, state: State) -> Tensor:
        x = frames_third(self.resample(frames_first(x)), x.shape[0])
        if self.time_conv is None:
            return x
        if self.time_conv in state:
            return self.time_conv(x, state)
        first, rest = x[:, :, :1], x[:, :, 1:]
        state[self.time_conv] = first
        return torch.cat((first, self.time_conv(rest, state)), dim=2) if rest.shape[2] else first


class Upsample(nn.Module):
    """Doubles height and width and, if `temporal`, time; the first frame of a stream is not doubled."""

    def __init__(self, channels: int, temporal: bool):
        super().__init__()
        self.resample = nn.Sequential(
            nn.Upsample(scale_factor=2.0, mode="nearest"), nn.Conv2d(channels, channels // 2, 3, padding=1)
        )
        self.time_conv = CausalConv3d(channels, 2 * channels, (3, 1, 1)) if temporal else None

    def forward(self, x: Tensor, state: State) -> Tensor:
        if self.time_conv is not None:
            x = self._double(x, state)
        return frames_third(self.resample(frames_first(x)), x.shape[0])

    def _double(self, x: Tensor, state: State) -> Tensor:
        if self.time_conv in state:
            # The first half of the channels is the earlier frame of each pair.
            return torch.stack(self.time_conv(x, state).chunk(2, dim=1), dim=3).flatten(2, 3)
        first, rest = x[:, :, :1], x[:, :, 1:]
        # The convolution never sees the first frame: its past begins as zeros.
        state[self.time_conv] = after_zeros(first, self.time_conv.look_back)[:, :, :-1]
        return torch.cat((first, self._double(rest, state)), dim=2) if rest.shape[2] else first


def run(layers: nn.Module, x: Tensor, state: State) -> Tensor:
    """Apply layers in order; those with a memory get the stream's state."""
    for layer in layers:
        stateful = isinstance(layer, CausalConv3d | ResidualBlock | AttentionBlock | Downsample | Upsample)
        x = layer(x, state) if stateful else layer(x)
    return x


def middle(channels: int) -> nn.Sequential:
    return nn.Sequential(
        ResidualBlock(channels, channels), AttentionBlock(channels), ResidualBlock(channels, channels)
    )


def head(channels: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(RMSNorm(channels), nn.SiLU(), CausalConv3d(channels, outputs, 3))


class Encoder(nn.Module):
    def __init__(self, config: VAEConfig):
        super().__init__()
        widths = [config.dim * m for m in (1, *config.dim_mult)]
        self.conv1 = CausalConv3d(3 * config.pixel_shuffle**2, widths[0], 3)
        layers: list[nn.Module] = []
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            for i in range(config.num_res_blocks):
                layers.append(ResidualBlock(outputs if i else inputs, outputs))
            if stage < len(config.temporal_downsample):
                layers.append(Downsample(outputs, config.temporal_downsample[stage]))
        self.downsamples = nn.Sequential(*layers)
        self.middle = middle(widths[-1])
        self.head = head(widths[-1], 2 * config.z_dim)

    @property
    def look_back(self) -> int:
        """How many frames before its last one a latent depends on (112 for the published sizes)."""
        total, step = 0, 1
        for module in self.modules():
            if isinstance(module, CausalConv3d):
                total += (module.kernel_size[0] - 1) * step
                step *= module.time_stride
        return total

    def forward(self, x: Tensor, state: State) -> Tensor:
        x = self.conv1(x, state)
        for part in (self.downsamples, self.middle):
            x = run(part, x, state)
        norm, _, conv = self.head
        return convolve_activated(norm, conv, x, state)


class Decoder(nn.Module):
    def __init__(self, config: VAEConfig):
        super().__init__()
        widths = [config.dim * m for m in (config.dim_mult[-1], *reversed(config.dim_mult))]
        temporal = config.temporal_downsample[::-1]
        self.conv1 = CausalConv3d(config.z_dim, widths[0], 3)
        self.middle = middle(widths[0])
        layers: list[nn.Module] = []
        for stage, (inputs, outputs) in enumerate(pairwise(widths)):
            for i in range(config.num_res_blocks + 1):
                # The upsampling before every later stage has halved the channels.
                layers.append(ResidualBlock(outputs if i else inputs // 2 if stage else inputs, outputs))
            if stage < len(temporal):
                layers.append(Upsample(outputs, temporal[stage]))
        self.upsamples = nn.Sequential(*layers)
        self.head = head(widths[-1], 3 * config.pixel_shuffle**2)

    def forward(self, x: Tensor, state: State) -> Tensor:
        x = self.conv1(x, state)
        for part in (self.middle, self.upsamples):
            x = run(part, x, state)
        norm, _, conv = self.head
        return convolve_activated(norm, conv, x, state)


class VAE(nn.Module):
    """Video <-> latents [B, 16, T', h, w], normalised per channel. T frames give 1 + (T - 1) / 4 latents."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.conv1 = CausalConv3d(2 * config.z_dim, 2 * config.z_dim, 1)
        self.conv2 = CausalConv3d(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)

    def moments(self, video: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Mean (not normalised) and log-variance of the next frames' latents."""
        side = self.config.pixel_shuffle
        if side > 1:
            video = frames_third(F.pixel_unshuffle(frames_first(video), side), video.shape[0])
        return self.conv1(self.encoder(video, state), state).chunk(2, dim=1)

    def encode(self, video: Tensor, state: State | None = None) -> Tensor:
        """Latents of the next frames of a stream: 1 + 4n frames at its start (no `state`), 4n later on."""
        mean, std = self.statistics(video)
        return (self.moments(video, State() if state is None else state)[0] - mean) / std

    def decode(self, latents: Tensor, state: State | None = None) -> Tensor:
        """Video in [-1, 1] of the next latents of a stream: 4n - 3 frames at its start, 4n later on."""
        mean, std = self.statistics(latents)
        return self.decode_raw(latents * std + mean, state).clamp(-1, 1)

    def decode_raw(self, latents: Tensor, state: State | None = None) -> Tensor:
        """As `decode`, but of latents that are not normalised, and not clamped."""
        state = State() if state is None else state
        video = self.decoder(self.conv2(latents, state), state)
        side = self.config.pixel_shuffle
        if side > 1:
            video = frames_third(F.pixel_shuffle(frames_first(video), side), video.shape[0])
        return video

    def statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents' channels."""
        statistics = (tuple(self.config.latent_mean), tuple(self.config.latent_std))
        return tuple(constant(values, 3, like.device, like.dtype) for values in statistics)
