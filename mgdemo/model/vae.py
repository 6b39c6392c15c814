"""The causal 3D VAE of Wan 2.1 (arXiv:2503.20314): encoder and decoder that work in a stream.

Videos and latents are [B, C, T, H, W], pixels in [-1, 1]; see `vae_layers` for how pieces fit together.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.config import VAEConfig
from mgdemo.model.constants import constant
from mgdemo.model.vae_layers import (
    AttentionBlock,
    CausalConv3d,
    Downsample,
    ResidualBlock,
    RMSNorm,
    Sequential,
    State,
    Upsample,
    frames_first,
    frames_third,
)


def middle(channels: int) -> Sequential:
    return Sequential(
        ResidualBlock(channels, channels), AttentionBlock(channels), ResidualBlock(channels, channels)
    )


def head(channels: int, outputs: int) -> Sequential:
    return Sequential(RMSNorm(channels), nn.SiLU(), CausalConv3d(channels, outputs, 3))


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
        self.downsamples = Sequential(*layers)
        self.middle = middle(widths[-1])
        self.head = head(widths[-1], 2 * config.z_dim)

    @property
    def look_back(self) -> int:
        """How many frames before its last one a latent depends on (112 for the published sizes)."""
        total, step = 0, 1
        for module in self.modules():
            if isinstance(module, CausalConv3d):
                total += (module.kernel_size[0] - 1) * step
                step *= module.stride[0]
        return total

    def forward(self, x: Tensor, state: State) -> Tensor:
        x = self.conv1(x, state)
        for part in (self.downsamples, self.middle, self.head):
            x = part(x, state)
        return x


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
        self.upsamples = Sequential(*layers)
        self.head = head(widths[-1], 3 * config.pixel_shuffle**2)

    @property
    def look_back(self) -> float:
        """How many latents before its own a frame depends on at most (37.5 for the published sizes)."""
        total, rate = 0.0, 1
        for module in self.modules():
            if isinstance(module, CausalConv3d):
                total += module.look_back / rate
                if module.kernel_size == (3, 1, 1):  # that of an Upsample
                    rate *= 2
        return total

    def forward(self, x: Tensor, state: State) -> Tensor:
        x = self.conv1(x, state)
        for part in (self.middle, self.upsamples, self.head):
            x = part(x, state)
        return x


class VAE(nn.Module):
    """Video <-> latents [B, 16, T', h, w], normalized per channel. T frames give 1 + (T - 1) / 4 latents."""

    def __init__(self, config: VAEConfig):
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.look_back = self.encoder.look_back  # see there
        self.conv1 = CausalConv3d(2 * config.z_dim, 2 * config.z_dim, 1)
        self.conv2 = CausalConv3d(config.z_dim, config.z_dim, 1)
        self.decoder = Decoder(config)

    def moments(self, video: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Mean (not normalized) and log-variance of the next frames' latents."""
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
        """As `decode`, but of latents that are not normalized, and not clamped."""
        state = State() if state is None else state
        video = self.decoder(self.conv2(latents, state), state)
        side = self.config.pixel_shuffle
        if side > 1:
            video = frames_third(F.pixel_shuffle(frames_first(video), side), video.shape[0])
        return video

    def statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents' channels."""
        statistics = (tuple(self.config.latent_mean), tuple(self.config.latent_std))
        mean, std = (constant(values, 3, like.device, like.dtype) for values in statistics)
        return mean, std
