"""The causal diffusion transformer (Matrix-Game 2.0, `causal_model.py`; after Wan 2.1, arXiv:2503.20314).

It predicts the flow of one block of latent frames. Blocks are batched along N: a session uses N = 1 and a
memory of rings; training uses many blocks at once and a memory of its own. Names of parameters are those of
the published files, without their prefix `model.`; there, layers are called blocks.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn

from mgdemo.config import TransformerConfig
from mgdemo.model.action import ActionInputs, Actions, action_windows
from mgdemo.model.cache import LayerMemory, Memory, Ring
from mgdemo.model.initial import normal_parameter
from mgdemo.model.layers import BlockInputs, Layer, Layers, modulate
from mgdemo.model.rotary import video_rotation


class Head(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.norm = nn.LayerNorm(config.dim, config.eps, elementwise_affine=False)
        self.head = nn.Linear(config.dim, math.prod(config.patch_size) * config.out_dim)
        self.modulation = normal_parameter(1, 2, config.dim, std=config.dim**-0.5)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """x [N, F*S, dim], time [N, F, dim]: the embedding of the timestep, not projected."""
        shift, scale = (self.modulation + time.unsqueeze(2)).unsqueeze(3).unbind(2)
        return self.head(modulate(self.norm(x), shift, scale))


class ImageEmbedding(nn.Module):
    def __init__(self, img_dim: int, dim: int):
        super().__init__()
        self.proj = nn.Sequential(
            nn.LayerNorm(img_dim),
            nn.Linear(img_dim, img_dim),
            nn.GELU(),
            nn.Linear(img_dim, dim),
            nn.LayerNorm(dim),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x)


def timestep_embedding(timestep: Tensor, width: int) -> Tensor:
    """Sinusoids of timesteps (0 to 1000) in float64: [...] -> [..., width], cosines first."""
    angles = timestep.double()[..., None] * 10000 ** (
        -torch.arange(width // 2, dtype=torch.float64, device=timestep.device) / (width // 2)
    )
    return torch.cat((angles.cos(), angles.sin()), dim=-1)


class Transformer(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config = config
        dim, patch = config.dim, cast(tuple[int, int, int], tuple(config.patch_size))
        self.patch_embedding = nn.Conv3d(config.in_dim, dim, patch, patch)
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.img_emb = ImageEmbedding(config.img_dim, dim)
        self.blocks = Layers(Layer(config, i) for i in range(config.num_layers))
        self.head = Head(config)

    @property
    def dtype(self) -> torch.dtype:
        return self.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.patch_embedding.weight.device

    def block_inputs(self, start_frame: int | Tensor, condition: Tensor, actions: Actions) -> BlockInputs:
        """Gather what the passes over the block at latent frame `start_frame` share.

        condition [N, 20, F, h, w]; `actions` are the `window_rows` rows that the block spans, the last of
        them its own last video frame. `start_frame` may be [N].
        """
        config = self.config.action_config
        n, _, count, height, width = condition.shape
        start = start_frame.reshape(-1, 1) if isinstance(start_frame, Tensor) else start_frame
        frames = (torch.arange(count, device=self.device) + start).expand(n, -1)
        rows, columns = height // self.config.patch_size[1], width // self.config.patch_size[2]
        if not config.enable_mouse:
            actions = Actions(actions.keyboard)
        windows = actions.map(lambda a: action_windows(a.to(self.device, self.dtype), config, count))
        features = self.blocks.encode_actions(windows)
        return BlockInputs(
            condition.to(self.device, self.dtype),
            ActionInputs.from_features(config, features, frames, rows * columns),
            video_rotation(frames, rows, columns, self.config.dim // self.config.num_heads),
        )

    def cross_memory(self, image_tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the image tokens [N, L, img_dim], for each layer's cross-attention."""
        tokens = self.img_emb(image_tokens.to(self.device, self.dtype))
        return [layer.cross_attn.key_value(tokens) for layer in self.blocks]

    def memory(self, image_tokens: Tensor, height: int, width: int) -> Memory:
        """The empty memory of one session with latents of height x width and CLIP tokens [1, L, img_dim]."""
        config, actions = self.config, self.config.action_config
        window, heads = config.local_attn_size, config.num_heads
        tokens = (height // config.patch_size[1]) * (width // config.patch_size[2])
        like = self.patch_embedding.weight
        layers = []
        for layer, cross in zip(self.blocks, self.cross_memory(image_tokens), strict=True):
            memory = LayerMemory(Ring.empty(1, window, tokens, heads, config.dim // heads, like), cross)
            if layer.action_model is not None:
                act_heads = actions.heads_num
                keyboard_dim = actions.keyboard_hidden_dim // act_heads
                memory.keyboard = Ring.empty(1, window, 1, act_heads, keyboard_dim, like)
                if actions.enable_mouse:
                    mouse_dim = actions.mouse_hidden_dim // act_heads
                    memory.mouse = Ring.empty(tokens, window, 1, act_heads, mouse_dim, like)
            layers.append(memory)
        return Memory(layers)

    def forward(self, x: Tensor, timestep: Tensor, inputs: BlockInputs, memory: Memory) -> Tensor:
        """Flow [N, 16, F, h, w] of the noisy latents x (same shape) at `timestep` [N, F], 0 to 1000."""
        _, _, frames, height, width = x.shape
        stream, time, projected = self._embed(x, timestep, inputs)
        patches = self.head(self.blocks(stream, projected, inputs, memory), time)
        _, rows, columns = self.config.patch_size
        grid = (frames, height // rows, width // columns, rows, columns, self.config.out_dim)
        return (
            patches.unflatten(-1, grid[3:])
            .unflatten(1, grid[:3])
            .permute(0, 6, 1, 2, 4, 3, 5)
            .flatten(5, 6)
            .flatten(3, 4)
        )

    def remember(self, x: Tensor, inputs: BlockInputs, memory: Memory) -> None:
        """The clean pass: let the memory hold the finished block x, in place of its noisy versions."""
        clean = torch.zeros(x.shape[0], x.shape[2], device=self.device)
        stream, _, projected = self._embed(x, clean, inputs)
        self.blocks(stream, projected, inputs, memory, remember=True)

    def _embed(self, x: Tensor, timestep: Tensor, inputs: BlockInputs) -> tuple[Tensor, Tensor, Tensor]:
        """The token stream [N, F*S, dim], the timestep's embedding [N, F, dim] and its projections."""
        tokens = self.patch_embedding(torch.cat((x.to(self.dtype), inputs.condition), dim=1))
        sinusoids = timestep_embedding(timestep.to(self.device), self.config.freq_dim)
        time = self.time_embedding(sinusoids.to(self.dtype))
        projected = self.time_projection(time).unflatten(-1, (6, -1))
        return tokens.flatten(2).transpose(1, 2).contiguous(), time, projected
