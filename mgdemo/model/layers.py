"""The transformer's layers: self-attention, cross-attention to the start image, actions, feed-forward."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from mgdemo.config import TransformerConfig
from mgdemo.model.action import ActionInputs, ActionModule, Actions
from mgdemo.model.attention import attention
from mgdemo.model.cache import LayerMemory, Memory
from mgdemo.model.initial import normal_parameter
from mgdemo.model.rotary import Rotation


@dataclass
class BlockInputs:
    """What all passes over one block share."""

    condition: Tensor  # [N, 20, F, h, w]: 4 mask channels (1 = given), then 16 channels of image latents
    actions: ActionInputs
    rotation: Rotation


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


class Layer(nn.Module):
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
        self.modulation = normal_parameter(1, 6, dim, std=dim**-0.5)

    def forward(
        self, x: Tensor, time: Tensor, actions: Actions | None, inputs: BlockInputs, memory: LayerMemory
    ) -> Tensor:
        """x [N, F*S, dim], time [N, F, 6, dim]; `actions` is what the action module made of the actions."""
        shift1, scale1, gate1, shift2, scale2, gate2 = (self.modulation + time).unsqueeze(3).unbind(2)
        q, k, v = self.self_attn.query_key_value(modulate(self.norm1(x), shift1, scale1))
        seen = memory.video.attend(inputs.rotation(q), inputs.rotation(k), v)
        x = gated(x, self.self_attn.o(seen.flatten(2)), gate1)
        seen = attention(self.cross_attn.query(self.norm3(x)), *memory.cross)
        x = x + self.cross_attn.o(seen.flatten(2))
        if self.action_model is not None:
            x = self.action_model(x, actions, inputs.actions, memory)
        return gated(x, self.ffn(modulate(self.norm2(x), shift2, scale2)), gate2)

    def remember(
        self, x: Tensor, time: Tensor, actions: Actions | None, inputs: BlockInputs, memory: LayerMemory
    ) -> None:
        """Fill the memory as `forward` does, when its result is not needed."""
        if self.action_model is not None:
            self(x, time, actions, inputs, memory)
            return
        shift, scale = (self.modulation + time).unsqueeze(3).unbind(2)[:2]
        k, v = self.self_attn.key_value(modulate(self.norm1(x), shift, scale))
        memory.video.store(inputs.rotation(k), v)


class Layers(nn.ModuleList):
    """All layers, in order."""

    def __iter__(self) -> Iterator[Layer]:
        return cast(Iterator[Layer], super().__iter__())

    def encode_actions(self, windows: Actions) -> Actions:
        """What all L action modules make of the actions of a block, [L, N, F, ...]; see `ActionModule`."""
        parts = [layer.action_model.encode(windows) for layer in self if layer.action_model is not None]
        keyboard = torch.stack([part.keyboard for part in parts])
        mice = [part.mouse for part in parts if part.mouse is not None]
        return Actions(keyboard, torch.stack(mice) if mice else None)

    def forward(
        self, x: Tensor, time: Tensor, inputs: BlockInputs, memory: Memory, *, remember: bool = False
    ) -> Tensor | None:
        """The token stream [N, F*S, dim] after all layers, under time [N, F, 6, dim].

        With `remember` it goes only as far as the memory needs, and there is no result.
        """
        acting = 0
        for layer, layer_memory in zip(self, memory.layers, strict=True):
            actions = None
            if layer.action_model is not None:
                actions = inputs.actions.features.map(operator.itemgetter(acting))
                acting += 1
            if remember and layer is self[-1]:
                return layer.remember(x, time, actions, inputs, layer_memory)
            x = layer(x, time, actions, inputs, layer_memory)
        return x
