"""The transformer's layers and the VAE's decoder on the kernels of `kernels.py`: the same functions.

`Layers` stands in for `Transformer.through`, `RowDecoder` for `VAE.decode`; the weights are the plain nets'.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mgdemo.model import kernels
from mgdemo.model.action import ActionInputs, ActionModule
from mgdemo.model.attention import attention
from mgdemo.model.cache import Memory, Ring
from mgdemo.model.kernels import Kernel, Linear, Rows, activated, residual_norm
from mgdemo.model.rotary import Rotation
from mgdemo.model.transformer import Block, BlockInputs, Transformer
from mgdemo.model.vae import (
    VAE,
    AttentionBlock,
    CausalConv3d,
    ResidualBlock,
    RMSNorm,
    State,
    Upsample,
    frames_third,
)


class Product:
    """A linear layer on rows [N, C]; with `fp8` in e4m3, a scale for each row and each output."""

    def __init__(self, weight: Tensor, bias: Tensor | None, fp8: bool = False):
        self.fp8 = Linear.of(weight, bias) if fp8 else None
        self.weight, self.bias = (None, None) if fp8 else (weight, bias)

    def __call__(self, x: Tensor | Rows, *, gelu: bool = False) -> Tensor | Rows:
        """With a GELU after it, in its tanh form, the results in 8 bits are Rows again."""
        if self.fp8 is not None:
            x = x if isinstance(x, Rows) else activated(x, quantise=True)
            return kernels.product(x, self.fp8, gelu=gelu)
        if gelu and x.is_cuda:  # in the product's own kernel
            return torch._addmm_activation(self.bias, x, self.weight.t(), use_gelu=True)
        out = F.linear(x, self.weight, self.bias)
        return F.gelu(out, approximate="tanh") if gelu else out


def stacked(layers: list[nn.Linear]) -> tuple[Tensor, Tensor | None]:
    """The weights [L, inputs, outputs] and biases [L, 1, outputs] of L layers, whose own become views."""
    weight = torch.stack([layer.weight for layer in layers])
    for layer, mine in zip(layers, weight, strict=True):
        layer.weight.data = mine
    bias = None if layers[0].bias is None else torch.stack([layer.bias for layer in layers])[:, None]
    return weight.mT, bias


def products(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Rows [N, inputs] or [L, N, inputs] through L layers, [L, N, outputs]."""
    x = x.expand(len(weight), -1, -1)
    return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias, x, weight)


def joined(*layers: nn.Linear) -> tuple[Tensor, Tensor]:
    """One weight and bias for several layers of the same input, whose own become views of them."""
    weight, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
    for name, whole in (("weight", weight), ("bias", bias)):
        for layer, part in zip(layers, whole.chunk(len(layers)), strict=True):
            getattr(layer, name).data = part
    return weight, bias


def release(*layers: nn.Linear) -> None:
    """Free weights that nobody reads any more."""
    for layer in layers:
        layer.weight.data = layer.weight.data.new_empty(0)


class Layer:
    """The products of a transformer's block, and its own way through."""

    def __init__(self, block: Block, fp8: bool):
        self.block = block

        def product(layer: nn.Linear) -> Product:
            return Product(layer.weight, layer.bias, fp8)

        own, cross = block.self_attn, block.cross_attn
        self.qkv = Product(*joined(own.q, own.k, own.v), fp8)
        self.cross_q, self.up, self.down = map(product, (cross.q, block.ffn[0], block.ffn[2]))
        # What attention gives would have to be quantised first, which takes as long as 8 bits save.
        self.o, self.cross_o = (Product(layer.weight, layer.bias) for layer in (own.o, cross.o))
        self.actions = Actions(block.action_model, fp8) if block.action_model is not None else None
        if fp8:
            release(own.q, own.k, own.v, cross.q, block.ffn[0], block.ffn[2])

    def attend(
        self, h: Tensor | Rows, inputs: BlockInputs, memory: Ring, *, query: bool = True
    ) -> Tensor | None:
        """Self-attention on normed rows; without `query` the ring alone is filled."""
        norms, turn = self.block.self_attn, inputs.rotation
        q = kernels.rotate_store(
            self.qkv(h),
            norms.norm_q.weight,
            norms.norm_k.weight,
            norms.norm_q.eps,
            turn.cos,
            turn.sin,
            memory.slots,
            memory.k,
            memory.v,
            query=query,
        )
        return self.o(memory.read(q[None])[0].flatten(1)) if query else None

    def look(self, h: Tensor | Rows, cross: tuple[Tensor, Tensor]) -> Tensor:
        """Cross-attention to the image on normed rows."""
        norm = self.block.cross_attn.norm_q
        q = kernels.rms_norm(self.cross_q(h), norm.weight, norm.eps)
        q = q.unflatten(1, (self.block.cross_attn.heads, -1))
        return self.cross_o(attention(q[None], *cross)[0].flatten(1))


@dataclass
class Heard:
    """What the action modules of all L layers make of a block's actions, the same in all its passes."""

    keyboard: Tensor  # keys and values [L, F, 2 H D]
    mouse: Tensor | None  # [L, F, width]: the mouse's part in what the first linear layer gives


class Hearing:
    """All layers' action modules at once, as far as no token of the picture takes part."""

    def __init__(self, modules: list[ActionModule]):
        first, _, second = zip(*(module.keyboard_embed for module in modules), strict=True)
        self.embed = stacked(first), stacked(second)
        self.key_value = stacked([module.keyboard_attn_kv for module in modules])
        self.of_mouse: tuple[Tensor, Tensor] | None = None
        if modules[0].config.enable_mouse:
            layers, width = [module.mouse_mlp[0] for module in modules], modules[0].config.img_hidden_size
            weights = torch.stack([layer.weight[:, width:] for layer in layers]).mT
            self.of_mouse = weights, torch.stack([layer.bias for layer in layers])[:, None]

    def __call__(self, actions: ActionInputs) -> Heard:
        first, second = self.embed
        pressed = products(F.silu(products(actions.keyboard[0].flatten(0, 1), *first)), *second)
        pressed = pressed.unflatten(1, actions.keyboard.shape[1:3]).flatten(2)
        moved = None if self.of_mouse is None else products(actions.mouse[0].flatten(1), *self.of_mouse)
        return Heard(products(pressed, *self.key_value), moved)


class Actions:
    """An action module on rows of tokens."""

    def __init__(self, module: ActionModule, fp8: bool):
        self.module, self.fp8, config = module, fp8, module.config
        if config.enable_mouse:
            first, second, norm = module.mouse_mlp[0], module.mouse_mlp[2], module.mouse_mlp[3]
            self.first = Product(first.weight[:, : config.img_hidden_size], None, fp8)
            self.second, self.norm = Product(second.weight, second.bias, fp8), norm
            self.qkv = Product(module.t_qkv.weight, module.t_qkv.bias, fp8)
            if fp8:
                release(second, module.t_qkv)

    def mouse(self, x: Tensor | Rows, moved: Tensor, actions: ActionInputs, memory: Ring) -> Tensor:
        """What the mouse, of which `moved` is heard, adds to rows x [F * S, C]."""
        hidden = activated(self.first(x), added=moved, gelu=True, quantise=self.fp8)
        hidden = residual_norm(
            self.second(hidden), self.norm.weight, self.norm.bias, self.norm.eps, quantise=self.fp8
        )
        seen = self._attend(*self.qkv(hidden).chunk(3, dim=1), actions.of_mouse, memory)
        return self.module.proj_mouse(seen)

    def keyboard(self, x: Tensor, pressed: Tensor, actions: ActionInputs, memory: Ring) -> Tensor:
        """What the keyboard, of which `pressed` is heard, adds to rows x."""
        k, v = pressed.chunk(2, dim=1)
        seen = self._attend(self.module.mouse_attn_q(x), k, v, actions.of_frame, memory)
        return self.module.proj_keyboard(seen)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, turn: Rotation, memory: Ring) -> Tensor:
        return kernels.attend_few(
            q,
            k,
            v,
            turn.cos[0, :, 0],
            turn.sin[0, :, 0],
            memory.slots,
            memory.k,
            memory.v,
            memory.filled,
            norm=self.module.config.qk_norm,
        )


class Layers:
    """All of a transformer's blocks; sums and the norms after them are one kernel, across their borders."""

    def __init__(self, transformer: Transformer, fp8: bool):
        self.layers = [Layer(block, fp8) for block in transformer.blocks]
        self.modulation = torch.cat([block.modulation for block in transformer.blocks])
        self.eps, self.fp8 = transformer.config.eps, fp8
        self.prepare = Hearing([layer.actions.module for layer in self.layers if layer.actions is not None])

    def __call__(
        self,
        stream: Tensor,
        time: Tensor,
        inputs: BlockInputs,
        memory: Memory,
        *,
        remember: bool = False,
    ) -> Tensor | None:
        """In place of `Transformer.through`, for one play: stream [1, F * S, C], time [1, F, 6, C]."""
        x = stream[0].contiguous()
        modulations = (self.modulation[:, None] + time).unbind()
        added: dict[str, Tensor] = {}
        heard = inputs.prepared or self.prepare(inputs.actions)
        pressed, moved = iter(heard.keyboard), iter(() if heard.mouse is None else heard.mouse)
        for layer, modulation, held in zip(self.layers, modulations, memory.layers, strict=True):
            shift1, scale1, gate1, shift2, scale2, gate2 = modulation.unbind(1)
            h = residual_norm(x, scale1, shift1, self.eps, quantise=self.fp8, **added)
            if remember and layer is self.layers[-1] and layer.actions is None:
                layer.attend(h, inputs, held.video, query=False)
                return None
            update = layer.attend(h, inputs, held.video)
            norm = layer.block.norm3
            h = residual_norm(
                x, norm.weight, norm.bias, norm.eps, update=update, gate=gate1, quantise=self.fp8
            )
            update = layer.look(h, held.cross)
            if held.mouse is not None:
                rows = kernels.residual(x, update, quantise=self.fp8)
                update = layer.actions.mouse(rows, next(moved), inputs.actions, held.mouse)
            if layer.actions is not None:
                x = kernels.residual(x, update)
                update = layer.actions.keyboard(x, next(pressed), inputs.actions, held.keyboard)
            h = residual_norm(x, scale2, shift2, self.eps, update=update, quantise=self.fp8)
            added = {"update": layer.down(layer.up(h, gelu=True)), "gate": gate2}
        return None if remember else kernels.residual(x, **added)[None]


class RowDecoder:
    """A VAE's decoding of a stream that has begun, on frames as rows of pixels."""

    def __init__(self, vae: VAE):
        self.vae, decoder = vae, vae.decoder
        self.kernels: dict[nn.Module, Kernel] = {}
        for module in (*decoder.middle.modules(), *decoder.upsamples.modules()):
            if isinstance(module, CausalConv3d) and module.look_back:
                self.kernels[module] = Kernel.of(module.weight, module.bias)
            elif isinstance(module, Upsample):
                conv = module.resample[1]
                self.kernels[module] = Kernel.of_larger(conv.weight, conv.bias)
        self.kernels[decoder.head[2]] = kernels.taps_as_outputs(decoder.head[2].weight)

    @staticmethod
    def fits(vae: VAE) -> bool:
        """Whether the kernels can read its channels."""
        convolutions = [m for m in vae.decoder.modules() if isinstance(m, nn.Conv2d | nn.Conv3d)]
        parts = {c // 3 if c % 3 == 0 else c for c in (conv.in_channels for conv in convolutions)}
        return all(c >= 16 and c & (c - 1) == 0 for c in parts)

    def __call__(self, latents: Tensor, state: State | None = None) -> Tensor:
        """In place of `VAE.decode`, for one stream."""
        if not state:
            video = VAE.decode(self.vae, latents, state)
            for conv in self.kernels.keys() & (state or {}).keys():
                state.replace(conv, with_margins(state[conv]))
            return video
        mean, std = self.vae.statistics(latents)
        decoder = self.vae.decoder
        x = decoder.conv1(self.vae.conv2(latents * std + mean, state), state)
        x = with_margins(x)
        for layer in (*decoder.middle, *decoder.upsamples):
            if isinstance(layer, ResidualBlock):
                x = self._residual(layer, x, state)
            elif isinstance(layer, AttentionBlock):
                x = self._attend(layer, x)
            else:
                x = self._larger(layer, x, state)
        norm, _, conv = decoder.head
        past = state[conv]
        x = self._normed(norm, conv, x, state)
        video = kernels.few_outputs(x, past, self.kernels[conv], conv.bias)
        side = self.vae.config.pixel_shuffle
        if side > 1:
            video = frames_third(F.pixel_shuffle(video[0].transpose(0, 1), side), 1)
        return video.clamp(-1, 1)

    def _residual(self, block: ResidualBlock, x: Tensor, state: State) -> Tensor:
        norm1, _, conv1, norm2, _, _, conv2 = block.residual
        skip = x
        if block.shortcut is not None:
            skip = F.linear(x, block.shortcut.weight.flatten(1), block.shortcut.bias)
        for norm, conv, added in ((norm1, conv1, None), (norm2, conv2, skip)):
            past = state[conv]
            x = self._normed(norm, conv, x, state)
            x = kernels.convolve(x, past, self.kernels[conv], skip=added)
        return x

    def _attend(self, block: AttentionBlock, x: Tensor) -> Tensor:
        """Over the pixels of each frame."""
        inside = x[:, 1:-1, 1:-1]
        normed = kernels.pixel_norm(x, block.norm.gamma.flatten(), silu=False)[:, 1:-1, 1:-1].flatten(1, 2)
        qkv = F.linear(normed, block.to_qkv.weight.flatten(1), block.to_qkv.bias)
        seen = F.scaled_dot_product_attention(*(t.unsqueeze(1) for t in qkv.chunk(3, dim=2)))[:, 0]
        inside += F.linear(seen, block.proj.weight.flatten(1), block.proj.bias).view(inside.shape)
        return x

    def _larger(self, layer: Upsample, x: Tensor, state: State) -> Tensor:
        if layer.time_conv is not None:
            x = self._doubled(layer.time_conv, x, state)
        for margin in (x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]):
            margin.zero_()
        return kernels.convolve(x, None, self.kernels[layer], shape="larger")

    def _doubled(self, conv: CausalConv3d, x: Tensor, state: State) -> Tensor:
        """Twice as many frames."""
        past = state[conv]
        state[conv] = (x if len(x) >= conv.look_back else torch.cat((past, x)))[-conv.look_back :]
        return kernels.convolve(x, past, self.kernels[conv], shape="pairs")

    @staticmethod
    def _normed(norm: RMSNorm, conv: CausalConv3d, x: Tensor, state: State) -> Tensor:
        """Normed and through SiLU, as a convolution reads them; the last frames are remembered for it."""
        room, new = state.room(conv), min(len(x), conv.look_back)
        room[:-new] = state[conv][new:]
        x = kernels.pixel_norm(x, norm.gamma.flatten(), kept=room[-new:])
        state.replace(conv, room)
        return x


def with_margins(x: Tensor) -> Tensor:
    """Frames [1, C, T, H, W] as rows of pixels [T, H + 2, W + 2, C]."""
    return F.pad(x[0].permute(1, 2, 3, 0), (0, 0, 1, 1, 1, 1)).contiguous()
