"""Action modules: how keyboard and mouse enter the transformer (Matrix-Game 2.0, `action_module.py`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.actions import ActionTrack
from mgdemo.config import ActionConfig
from mgdemo.model.cache import LayerMemory, Ring
from mgdemo.model.rotary import Rotation, time_rotation


@dataclass(frozen=True)
class Actions:
    """Actions as tensors: keyboard [..., K] and mouse [..., 2], which is None in modes without a camera.

    Rows of them are [N, R, K], one for each video frame.
    """

    keyboard: Tensor
    mouse: Tensor | None = None

    @classmethod
    def from_track(cls, track: ActionTrack) -> Actions:
        mouse = None if track.mouse is None else torch.tensor(track.mouse)[None]
        return cls(torch.tensor(track.keyboard)[None], mouse)

    @property
    def may_stand(self) -> bool:
        """Whether a picture can come to rest under these rows, on the host: no key is held, and nobody turns.
        (Not pitch: a view held up or down stops at its limit.)"""
        turns = self.mouse is not None and bool(self.mouse[..., 1].any())
        return not (turns or bool(self.keyboard.any()))

    def map(self, function: Callable[[Tensor], Tensor]) -> Actions:
        """`function` of each part."""
        return Actions(function(self.keyboard), None if self.mouse is None else function(self.mouse))

    def after(self, before: Actions | None, count: int) -> Actions:
        """The last `count` rows of those `before` and these; the very first row stands for all before it."""
        if before is None:
            before = self.map(lambda rows: rows[:, :1].expand(-1, count, -1))

        def last(earlier: Tensor, rows: Tensor) -> Tensor:
            return torch.cat((earlier, rows), dim=1)[:, -count:]

        mouse = None
        if self.mouse is not None and before.mouse is not None:
            mouse = last(before.mouse, self.mouse)
        return Actions(last(before.keyboard, self.keyboard), mouse)


@dataclass
class ActionInputs:
    """What the action modules of L layers read of one block: the same in all passes over it."""

    features: Actions  # [L, N, F, ...]: what each module's `encode` makes of the actions
    of_frame: Rotation  # [N, F, ...]: where the latent frames stand in time
    of_token: Rotation  # [N, F * S, ...], in token order
    of_mouse: Rotation  # [N * S, F, ...]

    @classmethod
    def from_features(
        cls, config: ActionConfig, features: Actions, frames: Tensor, tokens: int
    ) -> ActionInputs:
        """For latent frame indices [N, F] of S tokens each."""

        def rotation(frames: Tensor, rope_dims: list[int]) -> Rotation:
            return time_rotation(frames, rope_dims[0], config.rope_theta)

        return cls(
            features,
            rotation(frames, config.rope_dim_list),
            rotation(frames.repeat_interleave(tokens, 1), config.rope_dim_list),
            rotation(frames.repeat_interleave(tokens, 0), config.mouse_qk_dim_list),
        )


def window_rows(config: ActionConfig, frames: int) -> int:
    """Rows of actions that a block of `frames` latent frames spans, the window before it included."""
    return config.vae_time_compression_ratio * (config.windows_size + frames - 1) + 1


def action_windows(rows: Tensor, config: ActionConfig, frames: int) -> Tensor:
    """Cut rows [N, window_rows, C] into the windows [N, frames, W, C] that the block's latent frames read.

    Latent frame j reads the video frames 4j-12 ... 4j-1, oldest first, so row i of a block that begins at
    latent frame s is video frame 4s - 12 + i. Before the start stands frame 0. The last row is not read: it
    reaches the model one block later.
    """
    ratio = config.vae_time_compression_ratio
    span = ratio * config.windows_size
    return torch.stack([rows[:, ratio * j : ratio * j + span] for j in range(frames)], dim=1)


def rms(x: Tensor, eps: float = 1e-6) -> Tensor:
    """Root-mean-square normalization over the channels, in x's own precision and without a gain."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps)


class Gain(nn.Module):
    """A gain that the published checkpoints hold and the reference never multiplies by."""

    def __init__(self, width: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))


class ActionModule(nn.Module):
    """Adds what the mouse and the keyboard do to the token stream [N, F*S, dim]; no norm, no gate."""

    def __init__(self, config: ActionConfig):
        super().__init__()
        self.config = config
        dim = config.img_hidden_size
        span = config.windows_size * config.vae_time_compression_ratio
        embed, keyboard, bias = config.hidden_size, config.keyboard_hidden_dim, config.qkv_bias
        self.keyboard_embed = nn.Sequential(
            nn.Linear(config.keyboard_dim_in, embed), nn.SiLU(), nn.Linear(embed, embed)
        )
        if config.enable_mouse:
            mouse = config.mouse_hidden_dim
            self.mouse_mlp = nn.Sequential(
                nn.Linear(dim + config.mouse_dim_in * span, mouse),
                nn.GELU(approximate="tanh"),
                nn.Linear(mouse, mouse),
                nn.LayerNorm(mouse),
            )
            self.t_qkv = nn.Linear(mouse, 3 * mouse, bias=bias)
            self.img_attn_q_norm = Gain(mouse // config.heads_num)
            self.img_attn_k_norm = Gain(mouse // config.heads_num)
            self.proj_mouse = nn.Linear(mouse, dim, bias=bias)
        self.key_attn_q_norm = Gain(keyboard // config.heads_num)
        self.key_attn_k_norm = Gain(keyboard // config.heads_num)
        self.mouse_attn_q = nn.Linear(dim, keyboard, bias=bias)  # the keyboard's query, despite its name
        self.keyboard_attn_kv = nn.Linear(embed * span, 2 * keyboard, bias=bias)
        self.proj_keyboard = nn.Linear(keyboard, dim, bias=bias)

    def encode(self, windows: Actions) -> Actions:
        """What does not depend on the picture, from windows [N, F, W, C]: the keyboard's keys and values
        [N, F, 2 * H * D], and the mouse's part [N, F, width] in what the first layer of `mouse_mlp` gives.

        That layer reads a token beside its frame's mouse values: summed, none is copied to all tokens.
        """
        pressed = self.keyboard_attn_kv(self.keyboard_embed(windows.keyboard).flatten(2))
        if windows.mouse is None:
            return Actions(pressed)
        first = cast(nn.Linear, self.mouse_mlp[0])
        of_mouse = first.weight[:, self.config.img_hidden_size :]
        return Actions(pressed, F.linear(windows.mouse.flatten(2), of_mouse, first.bias))

    def forward(self, x: Tensor, features: Actions, actions: ActionInputs, memory: LayerMemory) -> Tensor:
        """`features` are those that `encode` gave."""
        assert memory.keyboard is not None
        if features.mouse is not None and memory.mouse is not None:
            x = x + self.mouse(x, features.mouse, actions.of_mouse, memory.mouse)
        return x + self.keyboard(x, features.keyboard, actions, memory.keyboard)

    def mouse(self, x: Tensor, moved: Tensor, turn: Rotation, ring: Ring) -> Tensor:
        """Attention over time alone, each spatial token by itself."""
        n, frames = moved.shape[:2]
        x = x.unflatten(1, (frames, -1))
        tokens = x.shape[2]
        of_token = cast(nn.Linear, self.mouse_mlp[0]).weight[:, : x.shape[-1]]
        hidden = self.mouse_mlp[1:](F.linear(x, of_token) + moved.unsqueeze(2))
        qkv = self.t_qkv(hidden).unflatten(-1, (3, self.config.heads_num, -1))
        q, k, v = qkv.transpose(1, 2).flatten(0, 1).unbind(2)
        out = ring.attend(turn(self._normed(q)), turn(self._normed(k)), v)
        out = out.flatten(2).unflatten(0, (n, tokens)).transpose(1, 2)
        return self.proj_mouse(out).flatten(1, 2)

    def keyboard(self, x: Tensor, pressed: Tensor, actions: ActionInputs, ring: Ring) -> Tensor:
        """Every token asks the latent frames' key presses, which all spatial tokens share."""
        heads = self.config.heads_num
        k, v = pressed.unflatten(-1, (2, heads, -1)).unbind(2)
        q = self.mouse_attn_q(x).unflatten(-1, (heads, -1))
        q, k = actions.of_token(self._normed(q)), actions.of_frame(self._normed(k))
        return self.proj_keyboard(ring.attend(q, k, v).flatten(2))

    def _normed(self, x: Tensor) -> Tensor:
        return rms(x) if self.config.qk_norm else x
