"""The causal diffusion transformer (Matrix-Game 2.0, `causal_model.py`; after Wan 2.1, arXiv:2503.20314).

It predicts the flow of one block of latent frames. Blocks are batched along N: a play uses N = 1 and a memory
of rings; training uses many blocks at once and a memory of its own. Names of parameters are those of the
published files, without their prefix `model.`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mgdemo.config import TransformerConfig
from mgdemo.model.action import ActionInputs, ActionModule
from mgdemo.model.attention import attention
from mgdemo.model.cache import LayerMemory, Memory, Ring
from mgdemo.model.rotary import Rotation, video_rotation


@dataclass
class BlockInputs:
    """What all passes over one block share."""

    condition: Tensor  # [N, 20, F, h, w]: 4 mask channels (1 = given), then 16 channels of image latents
    actions: ActionInputs
    rotation: Rotation
    prepared: object = None  # what `through` makes of them once for all passes, where it has a `prepare`


class RMSNorm(nn.Module):
    """Root-mean-square norm over the whole width, computed in float32, with a gain."""

    def __init__(self, width: int, eps: float):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float()
        return (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight


class Attention(nn.Module):
    """Projections and q/k norms of self- and cross-attention."""

    def __init__(self, dim: int, heads: int, eps: float):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))
        self.norm_q, self.norm_k = RMSNorm(dim, eps), RMSNorm(dim, eps)

    def query_key_value(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.query(x), *self.key_value(x)

    def query(self, x: Tensor) -> Tensor:
        return self.norm_q(self.q(x)).unflatten(-1, (self.heads, -1))

    def key_value(self, x: Tensor) -> tuple[Tensor, Tensor]:
        k = self.norm_k(self.k(x)).unflatten(-1, (self.heads, -1))
        return k, self.v(x).unflatten(-1, (self.heads, -1))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Adaptive layer norm's affine part: x [N, F*S, dim], shift and scale [N, F, 1, dim], one per frame."""
    return torch.addcmul(shift, x.unflatten(1, (shift.shape[1], -1)), 1 + scale).flatten(1, 2)


def gated(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
    """x + gate * update, with gate [N, F, 1, dim]."""
    frames = (gate.shape[1], -1)
    return torch.addcmul(x.unflatten(1, frames), update.unflatten(1, frames), gate).flatten(1, 2)


class Block(nn.Module):
    """Self-attention (gated), cross-attention to the image, actions, feed-forward (gated)."""

    def __init__(self, config: TransformerConfig, index: int):
        super().__init__()
        dim, eps = config.dim, config.eps
        self.norm1 = nn.LayerNorm(dim, eps, elementwise_affine=False)
        self.norm2 = nn.LayerNorm(dim, eps, elementwise_affine=False)
        self.norm3 = nn.LayerNorm(dim, eps)
        self.self_attn = Attention(dim, config.num_heads, eps)
        self.cross_attn = Attention(dim, config.num_heads, eps)
        acts = index in config.action_config.blocks
        self.action_model = ActionModule(config.action_config) if acts else None
        self.ffn = nn.Sequential(
            nn.Linear(dim, config.ffn_dim), nn.GELU(approximate="tanh"), nn.Linear(config.ffn_dim, dim)
        )
        self.modulation = nn.Parameter(torch.randn(1, 6, dim) / dim**0.5)

    def forward(self, x: Tensor, time: Tensor, inputs: BlockInputs, memory: LayerMemory) -> Tensor:
        """x [N, F*S, dim], time [N, F, 6, dim]."""
        shift1, scale1, gate1, shift2, scale2, gate2 = (self.modulation + time).unsqueeze(3).unbind(2)
        q, k, v = self.self_attn.query_key_value(modulate(self.norm1(x), shift1, scale1))
        seen = memory.video.attend(inputs.rotation(q), inputs.rotation(k), v)
        x = gated(x, self.self_attn.o(seen.flatten(2)), gate1)
        seen = attention(self.cross_attn.query(self.norm3(x)), *memory.cross)
        x = x + self.cross_attn.o(seen.flatten(2))
        if self.action_model is not None:
            x = self.action_model(x, inputs.actions, memory)
        return gated(x, self.ffn(modulate(self.norm2(x), shift2, scale2)), gate2)

    def remember(self, x: Tensor, time: Tensor, inputs: BlockInputs, memory: LayerMemory) -> None:
        """Fill the memory as `forward` does, whose result is not wanted."""
        if self.action_model is not None:
            self(x, time, inputs, memory)
            return
        shift, scale = (self.modulation + time).unsqueeze(3).unbind(2)[:2]
        k, v = self.self_attn.key_value(modulate(self.norm1(x), shift, scale))
        memory.video.store(inputs.rotation(k), v)


class Head(nn.Module):
    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.norm = nn.LayerNorm(config.dim, config.eps, elementwise_affine=False)
        self.head = nn.Linear(config.dim, math.prod(config.patch_size) * config.out_dim)
        self.modulation = nn.Parameter(torch.randn(1, 2, config.dim) / config.dim**0.5)

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
        dim, patch = config.dim, tuple(config.patch_size)
        self.patch_embedding = nn.Conv3d(config.in_dim, dim, patch, patch)
        self.time_embedding = nn.Sequential(nn.Linear(config.freq_dim, dim), nn.SiLU(), nn.Linear(dim, dim))
        self.time_projection = nn.Sequential(nn.SiLU(), nn.Linear(dim, 6 * dim))
        self.img_emb = ImageEmbedding(config.img_dim, dim)
        self.blocks = nn.ModuleList(Block(config, i) for i in range(config.num_layers))
        self.head = Head(config)

    @property
    def dtype(self) -> torch.dtype:
        return self.patch_embedding.weight.dtype

    @property
    def device(self) -> torch.device:
        return self.patch_embedding.weight.device

    def block_inputs(
        self, start_frame: int | Tensor, condition: Tensor, keyboard: Tensor, mouse: Tensor | None
    ) -> BlockInputs:
        """Gather what the passes over the block at latent frame `start_frame` share.

        condition [N, 20, F, h, w]; keyboard [N, R, K] and mouse [N, R, 2] are the R = `window_rows` action
        rows that the block spans, the last of them its own last video frame. `start_frame` may be [N].
        """
        actions = self.config.action_config
        n, _, count, height, width = condition.shape
        start = start_frame.reshape(-1, 1) if isinstance(start_frame, Tensor) else start_frame
        frames = (torch.arange(count, device=self.device) + start).expand(n, -1)
        rows, columns = height // self.config.patch_size[1], width // self.config.patch_size[2]
        keyboard = keyboard.to(self.device, self.dtype)
        mouse = mouse.to(self.device, self.dtype) if actions.enable_mouse else None
        return BlockInputs(
            condition.to(self.device, self.dtype),
            ActionInputs.of(actions, keyboard, mouse, frames, rows * columns),
            video_rotation(frames, rows, columns, self.config.dim // self.config.num_heads),
        )

    def cross_memory(self, image_tokens: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of the image tokens [N, L, img_dim], for each layer's cross-attention."""
        tokens = self.img_emb(image_tokens.to(self.device, self.dtype))
        return [block.cross_attn.key_value(tokens) for block in self.blocks]

    def memory(self, image_tokens: Tensor, height: int, width: int) -> Memory:
        """The empty memory of one play with latents of height x width and CLIP tokens [1, L, img_dim]."""
        config, actions = self.config, self.config.action_config
        window, heads = config.local_attn_size, config.num_heads
        tokens = (height // config.patch_size[1]) * (width // config.patch_size[2])
        like = self.patch_embedding.weight
        layers = []
        for block, cross in zip(self.blocks, self.cross_memory(image_tokens), strict=True):
            layer = LayerMemory(Ring.empty(1, window, tokens, heads, config.dim // heads, like), cross)
            if block.action_model is not None:
                act_heads = actions.heads_num
                keyboard_dim = actions.keyboard_hidden_dim // act_heads
                layer.keyboard = Ring.empty(1, window, 1, act_heads, keyboard_dim, like)
                if actions.enable_mouse:
                    mouse_dim = actions.mouse_hidden_dim // act_heads
                    layer.mouse = Ring.empty(tokens, window, 1, act_heads, mouse_dim, like)
            layers.append(layer)
        return Memory(layers)

    def forward(self, x: Tensor, timestep: Tensor, inputs: BlockInputs, memory: Memory) -> Tensor:
        """Flow [N, 16, F, h, w] of the noisy latents x (same shape) at `timestep` [N, F], 0 to 1000."""
        _, _, frames, height, width = x.shape
        stream, time, projected = self._embed(x, timestep, inputs)
        patches = self.head(self.through(stream, projected, inputs, memory), time)
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
        self.through(stream, projected, inputs, memory, remember=True)

    def through(
        self, stream: Tensor, time: Tensor, inputs: BlockInputs, memory: Memory, *, remember: bool = False
    ) -> Tensor | None:
        """The token stream [N, F*S, dim] after all blocks, under time [N, F, 6, dim].

        With `remember` it goes only as far as the memory needs, and there is no result.
        """
        *layers, (last, held) = zip(self.blocks, memory.layers, strict=True)
        for block, layer in layers:
            stream = block(stream, time, inputs, layer)
        return last.remember(stream, time, inputs, held) if remember else last(stream, time, inputs, held)

    def _embed(self, x: Tensor, timestep: Tensor, inputs: BlockInputs) -> tuple[Tensor, Tensor, Tensor]:
        """The token stream [N, F*S, dim], the timestep's embedding [N, F, dim] and its projections."""
        tokens = self.patch_embedding(torch.cat((x.to(self.dtype), inputs.condition), dim=1))
        sinusoids = timestep_embedding(timestep.to(self.device), self.config.freq_dim)
        time = self.time_embedding(sinusoids.to(self.dtype))
        projected = self.time_projection(time).unflatten(-1, (6, -1))
        return tokens.flatten(2).transpose(1, 2).contiguous(), time, projected
