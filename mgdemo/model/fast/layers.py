"""The transformer's layers on the kernels of `rows` and `product`: the same functions, for one session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.model.action import ActionInputs, ActionModule, Actions
from mgdemo.model.attention import attention
from mgdemo.model.cache import Memory, Ring
from mgdemo.model.fast import rows
from mgdemo.model.fast.attention_rows import attend_few, rms_norm, rotate_store
from mgdemo.model.fast.linear import EightBitLinear, Linear, RowLinear
from mgdemo.model.fast.rows import Rows, activated, residual_norm
from mgdemo.model.layers import Attention, BlockInputs, Layer, Layers
from mgdemo.model.rotary import Rotation


class FusedSelfAttention(nn.Module):
    """Query, key and value in one product; norms, rotation and the way into the ring in one kernel."""

    def __init__(self, plain: Attention, linear: Linear):
        super().__init__()
        parts = plain.q, plain.k, plain.v
        self.qkv = linear(torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))
        self.norm_q, self.norm_k = plain.norm_q, plain.norm_k
        # What attention gives would have to be quantized first, which takes as long as 8 bits save.
        self.o = RowLinear(plain.o.weight, plain.o.bias)

    def forward(self, x: Tensor | Rows, turn: Rotation, ring: Ring) -> Tensor:
        query = cast(Tensor, self._store(x, turn, ring))
        return self.o(ring.read(query[None])[0].flatten(1))

    def store(self, x: Tensor | Rows, turn: Rotation, ring: Ring) -> None:
        """Fill the ring alone."""
        self._store(x, turn, ring, query=False)

    def _store(self, x: Tensor | Rows, turn: Rotation, ring: Ring, *, query: bool = True) -> Tensor | None:
        return rotate_store(
            self.qkv(x),
            self.norm_q.weight,
            self.norm_k.weight,
            self.norm_q.eps,
            turn.cos,
            turn.sin,
            cast(Tensor, ring.slots),
            ring.k,
            ring.v,
            query=query,
        )


class FusedCrossAttention(Attention):
    """Attention to the image's keys and values, which `key_value` computes as in the plain module."""

    bias: Tensor  # that `add` leaves out

    def __init__(self, plain: Attention, linear: Linear):
        nn.Module.__init__(self)
        self.heads = plain.heads
        self.q = linear(plain.q.weight, plain.q.bias)
        self.k, self.v, self.norm_q, self.norm_k = plain.k, plain.v, plain.norm_q, plain.norm_k
        self.o = RowLinear(plain.o.weight, None)
        self.register_buffer("bias", plain.o.bias.detach(), persistent=False)

    def add(self, stream: Tensor, x: Tensor | Rows, cross: tuple[Tensor, Tensor]) -> None:
        """Add what it gives for x to rows of a stream, in place."""
        q = rms_norm(self.q(x), self.norm_q.weight, self.norm_q.eps).unflatten(1, (self.heads, -1))
        self.o.add(stream, attention(q[None], *cross)[0].flatten(1))


class FusedActionModule(nn.Module):
    """An action module on rows of tokens, except what `ActionEncoder` does for all of them."""

    def __init__(self, plain: ActionModule, linear: Linear):
        super().__init__()
        self.qk_norm = plain.config.qk_norm
        self.has_mouse = plain.config.enable_mouse
        if self.has_mouse:
            first, _, second, norm = plain.mouse_mlp
            self.norm = cast(nn.LayerNorm, norm)
            first, second = cast(nn.Linear, first), cast(nn.Linear, second)
            self.first = linear(first.weight[:, : plain.config.img_hidden_size], None)
            self.second = linear(second.weight, second.bias)
            self.qkv = linear(plain.t_qkv.weight, plain.t_qkv.bias)
            self.proj_mouse = linear(plain.proj_mouse.weight, plain.proj_mouse.bias)
        # It reads the stream itself, with its outliers, and 8 bits would save nothing.
        self.mouse_attn_q = plain.mouse_attn_q
        self.proj_keyboard = linear(plain.proj_keyboard.weight, plain.proj_keyboard.bias)

    def add_mouse(self, x: Tensor, moved: Tensor, actions: ActionInputs, ring: Ring) -> Tensor | None:
        """Let the mouse, whose features are `moved` [F, width], add to rows x [F * S, C]; what it leaves."""
        hidden = activated(self.first(x), added=moved, gelu=True, quantize=self.second.reads)
        hidden = residual_norm(
            self.second(hidden), self.norm.weight, self.norm.bias, self.norm.eps, quantize=self.qkv.reads
        )
        q, k, v = self.qkv(hidden).chunk(3, dim=1)
        return self.proj_mouse.add(x, self._attend(q, k, v, actions.of_mouse, ring, self.proj_mouse.reads))

    def add_keyboard(self, x: Tensor, pressed: Tensor, actions: ActionInputs, ring: Ring) -> Tensor | None:
        """Let the keyboard, whose features are `pressed` [F, 2 H D], add to rows x."""
        k, v = pressed.chunk(2, dim=1)
        q, reads = self.mouse_attn_q(x), self.proj_keyboard.reads
        return self.proj_keyboard.add(x, self._attend(q, k, v, actions.of_frame, ring, reads))

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, turn: Rotation, ring: Ring, quantize: torch.dtype | None
    ) -> Tensor | Rows:
        return attend_few(
            q,
            k,
            v,
            turn.cos[0, :, 0],
            turn.sin[0, :, 0],
            cast(Tensor, ring.slots),
            ring.k,
            ring.v,
            ring.filled,
            norm=self.qk_norm,
            quantize=quantize,
        )


class ActionEncoder(nn.Module):
    """`ActionModule.encode` of all L action modules at once."""

    def __init__(self, modules: list[ActionModule]):
        super().__init__()
        embeds = [module.keyboard_embed for module in modules]
        self.embed_first = StackedLinear([embed[0] for embed in embeds])
        self.embed_second = StackedLinear([embed[2] for embed in embeds])
        self.key_value = StackedLinear([module.keyboard_attn_kv for module in modules])
        self.mouse: StackedLinear | None = None
        if modules[0].config.enable_mouse:
            layers, width = [module.mouse_mlp[0] for module in modules], modules[0].config.img_hidden_size
            self.mouse = StackedLinear(layers, width)

    def forward(self, windows: Actions) -> Actions:
        """From windows [1, F, W, C]; gives [L, 1, F, ...]."""
        pressed = self.embed_second(F.silu(self.embed_first(windows.keyboard[0].flatten(0, 1))))
        pressed = self.key_value(pressed.unflatten(1, windows.keyboard.shape[1:3]).flatten(2))
        moved = None
        if self.mouse is not None and windows.mouse is not None:
            moved = self.mouse(windows.mouse[0].flatten(1))[:, None]
        return Actions(pressed[:, None], moved)


class StackedLinear(nn.Module):
    """L linear layers at once, each reading its inputs from index `first_input` on."""

    weight: Tensor
    bias: Tensor | None

    def __init__(self, modules: Sequence[nn.Module], first_input: int = 0):
        super().__init__()
        layers = cast(Sequence[nn.Linear], modules)
        weight = torch.stack([layer.weight[:, first_input:] for layer in layers])
        bias = None if layers[0].bias is None else torch.stack([layer.bias for layer in layers])[:, None]
        self.register_buffer("weight", weight.mT, persistent=False)
        self.register_buffer("bias", bias, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Rows [N, inputs] or [L, N, inputs] -> [L, N, outputs]."""
        x = x.expand(len(self.weight), -1, -1)
        return torch.bmm(x, self.weight) if self.bias is None else torch.baddbmm(self.bias, x, self.weight)

    def extra_repr(self) -> str:
        layers, inputs, outputs = self.weight.shape
        return f"{layers} x ({inputs}, {outputs}), bias={self.bias is not None}"


class FusedLayer(nn.Module):
    """The parts of a layer; `FusedLayers` runs them."""

    def __init__(self, plain: Layer, linear: Linear):
        super().__init__()
        self.self_attn = FusedSelfAttention(plain.self_attn, linear)
        self.norm3 = plain.norm3
        self.cross_attn = FusedCrossAttention(plain.cross_attn, linear)
        actions = plain.action_model
        self.action_model = None if actions is None else FusedActionModule(actions, linear)
        up, down = cast(nn.Linear, plain.ffn[0]), cast(nn.Linear, plain.ffn[2])
        self.up = linear(up.weight, up.bias)
        self.down = linear.after_gelu(down.weight, down.bias)


class FusedLayers(nn.Module):
    """Replaces `Transformer.blocks`. Sums and the norms after them are one kernel, across layers' borders.

    It empties the plain layers one by one, so that a GPU never holds both.
    """

    modulation: Tensor

    def __init__(self, plain: Layers, fp8: bool = False):
        super().__init__()
        self.eps = next(iter(plain)).norm1.eps
        linear, self.layers = EightBitLinear if fp8 else RowLinear, nn.ModuleList()
        self.register_buffer("modulation", torch.cat([layer.modulation for layer in plain]), persistent=False)
        modules = [layer.action_model for layer in plain if layer.action_model is not None]
        self.encode_actions = ActionEncoder(modules)
        while len(plain):
            self.layers.append(FusedLayer(cast(Layer, plain.pop(0)), linear))

    def __iter__(self) -> Iterator[FusedLayer]:
        return cast(Iterator[FusedLayer], iter(self.layers))

    def forward(
        self, stream: Tensor, time: Tensor, inputs: BlockInputs, memory: Memory, *, remember: bool = False
    ) -> Tensor | None:
        """As `Layers` does: stream [1, F * S, C], time [1, F, 6, C]."""
        x, actions = stream[0].contiguous(), inputs.actions
        modulations = (self.modulation[:, None] + time).unbind()
        features = actions.features.map(lambda feature: feature[:, 0])
        pressed, moved = iter(features.keyboard), iter(() if features.mouse is None else features.mouse)
        added: dict[str, Any] = {}
        for layer, modulation, held in zip(self, modulations, memory.layers, strict=True):
            shift1, scale1, gate1, shift2, scale2, gate2 = modulation.unbind(1)
            h = residual_norm(x, scale1, shift1, self.eps, quantize=layer.self_attn.qkv.reads, **added)
            if remember and layer is self.layers[-1] and layer.action_model is None:
                layer.self_attn.store(h, inputs.rotation, held.video)
                return None
            update = layer.self_attn(h, inputs.rotation, held.video)
            norm, cross = layer.norm3, layer.cross_attn
            h = residual_norm(
                x, norm.weight, norm.bias, norm.eps, update=update, gate=gate1, ahead=cross.bias,
                quantize=cross.q.reads,
            )  # fmt: skip
            cross.add(x, h, held.cross)
            update = None
            if layer.action_model is not None and held.mouse is not None:
                update = layer.action_model.add_mouse(x, next(moved), actions, held.mouse)
            if layer.action_model is not None and held.keyboard is not None:
                x = x if update is None else rows.residual(x, update)
                update = layer.action_model.add_keyboard(x, next(pressed), actions, held.keyboard)
            h = residual_norm(x, scale2, shift2, self.eps, update=update, quantize=layer.up.reads)
            added = {"update": layer.down(layer.up(h, gelu=True)), "gate": gate2}
        return None if remember else rows.residual(x, **added)[None]
