"""Stage 3: the transformer and its image encoder, by flow matching over encoded clips.

    python -m training.dit --mode universal --latents FILE [FILE ...] --out DIR --seconds 900

All blocks of a clip are trained at once: each noisy block attends to itself and to the clean blocks before
it, exactly what it sees when playing, where the clean pass has filled the caches. The model's own classes
are used as they are; only the memory differs (`BlockContext`).

With --start, training begins with another transformer's weights, say another mode's: what does not fit, and
how the keyboard enters, is learned from scratch.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from mgdemo.actions import MODES, Mode
from mgdemo.blocks import LATENTS_PER_BLOCK
from mgdemo.config import ActionConfig, ImageEncoderConfig, SamplingConfig, TransformerConfig
from mgdemo.model.action import Actions, Gain, window_rows
from mgdemo.model.attention import attention
from mgdemo.model.cache import LayerMemory, Memory
from mgdemo.model.flow import Schedule
from mgdemo.model.image_encoder import ImageEncoder
from mgdemo.model.transformer import Transformer
from training import best_device, clips, command, wait_for
from training.latents import Latents
from training.optim import Optimizer, Step, train_for

CONTEXT_NOISE = 0.3  # most noise put on clean blocks, so that the model bears its own mistakes
OWN_SHARE = 0.5  # share of clean blocks that the model itself has made, of the truth under much noise
OWN_NOISE = (0.5, 0.85)  # of pure noise it would make another place
SAMPLER_SHARE = 0.65  # share of blocks at the sampler's own noise levels
FAR = 3000  # latent frames: how far into a session a clip may pretend to be
FIRST = 3.0  # weight of a session's first block, whose errors all later blocks continue from


def tiny_config(mode: Mode) -> tuple[TransformerConfig, ImageEncoderConfig]:
    image = ImageEncoderConfig(image_size=112, patch_size=14, dim=64, out_dim=64, num_heads=1, num_layers=2)
    action = ActionConfig(
        blocks=[0, 1, 2],
        keyboard_dim_in=mode.keyboard_dim,
        enable_mouse=mode.has_mouse,
        heads_num=2,
        hidden_size=8,
        img_hidden_size=192,
        keyboard_hidden_dim=128,
        mouse_hidden_dim=128,
    )
    transformer = TransformerConfig(
        action_config=action, dim=192, ffn_dim=384, num_heads=4, num_layers=6, img_dim=image.dim
    )
    return transformer, image


PARTS = (("model.", "transformer"), ("visual.", "image_encoder"))  # the public files' prefixes and names
SAMPLING = SamplingConfig(denoising_steps=[1000, 500], timestep_shift=2.0, noise_scale=1.3)


@dataclass
class BlockContext:
    """In place of a session's ring: stacked blocks, each of which sees itself and the clean frames before it.

    q, k, v are [2 * batch * blocks * S, L, H, D]: the clean copies first, then the noisy ones; S streams that
    never mix (the spatial tokens where attention is over time alone, else 1); L keys or queries of a block.
    """

    batch: int
    blocks: int
    frames: int  # latent frames of a block
    before: int  # of the block before, those that are still in the window

    def attend(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        def split(t: Tensor) -> Tensor:
            return t.unflatten(0, (2, self.batch, self.blocks, -1))

        q, k, v = split(q), split(k), split(v)
        keep = k.shape[4] * self.before // self.frames

        def with_context(t: Tensor) -> Tensor:
            context = t[:1, :, :-1, :, t.shape[4] - keep :].expand(2, *(-1,) * 6)
            return torch.cat((context, t[:, :, 1:]), dim=4)

        def run(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            shape = q.shape
            attend = short_attention if k.shape[4] <= 8 else attention
            return attend(q.flatten(0, 3), k.flatten(0, 3), v.flatten(0, 3)).view(shape)

        first = run(q[:, :, :1], k[:, :, :1], v[:, :, :1])
        rest = run(q[:, :, 1:], with_context(k), with_context(v))
        return torch.cat((first, rest), dim=2).flatten(0, 3)


def short_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention over a handful of keys, written so that a compiler fuses it; shapes as in `attention`."""
    scores = (q.unsqueeze(2) * k.unsqueeze(1)).float().sum(-1) / q.shape[-1] ** 0.5  # [N, Lq, Lk, H]
    weights = scores.softmax(2).to(v.dtype)
    return (weights.unsqueeze(-1) * v.unsqueeze(1)).sum(2)


def teacher_forcing(transformer: Transformer, image_tokens: Tensor, batch: int, blocks: int) -> Memory:
    """A memory for 2 * batch * blocks stacked blocks; image_tokens [batch, L, img_dim].

    Raises ValueError for a window that reaches back farther than the block before.
    """
    frames = LATENTS_PER_BLOCK
    before = transformer.config.local_attn_size - frames
    if not 0 <= before <= frames:
        raise ValueError(
            f"A window of {before + frames} latent frames reaches back beyond the block before: "
            f"train with {frames} to {2 * frames}."
        )
    context = BlockContext(batch, blocks, frames, before)
    rings = {"video": context, "mouse": context, "keyboard": context}
    cross = transformer.cross_memory(image_tokens)

    def spread(t: Tensor) -> Tensor:
        return t.repeat_interleave(blocks, 0).repeat(2, *(1,) * (t.ndim - 1))

    return Memory([LayerMemory(cross=(spread(k), spread(v)), **rings) for k, v in cross])


class Model(torch.nn.Module):
    """The two nets that learn together, without what is in their files but never runs."""

    def __init__(self, transformer: TransformerConfig, image_encoder: ImageEncoderConfig):
        super().__init__()
        self.transformer = Transformer(transformer)
        self.image_encoder = encoder = ImageEncoder(image_encoder)
        gains = [module for module in self.transformer.modules() if isinstance(module, Gain)]
        for unused in (encoder.transformer[-1], encoder.post_norm, encoder.head, *gains):
            unused.requires_grad_(False)

    def load(self, folder: Path) -> list[str]:
        """Take over what `save` wrote; of another mode's weights all that fit, but how the keyboard is read.

        Returns the names of what was left as it is.
        """
        left = []
        for prefix, name in PARTS:
            part = getattr(self, name)
            given = {k.removeprefix(prefix): t for k, t in load_file(folder / f"{name}.safetensors").items()}
            own = part.state_dict()
            fits = {k: t for k, t in given.items() if k in own and own[k].shape == t.shape}
            if fits.keys() != own.keys():
                fits = {k: t for k, t in fits.items() if "keyboard_embed" not in k}
            part.load_state_dict(fits, strict=False)
            left += [k for k in own if k not in fits]
        return left


class Batch(NamedTuple):
    """B clips of latents with everything random already drawn."""

    latents: Tensor  # [B, 16, F, h, w]
    condition: Tensor  # [B, 20, F, h, w]
    image: Tensor  # [B, 3, H, W] in [-1, 1]
    keyboard: Tensor  # [B, blocks, rows, K]
    mouse: Tensor  # [B, blocks, rows, 2]; zero in modes without
    start: Tensor  # [B] latent frame of the clip's first
    noise: Tensor  # [2, B, 16, F, h, w] for the clean and the noisy copy
    sigma: Tensor  # [2, B, blocks]
    own: Tensor  # [B, blocks] noise from which the model itself makes the clean copy; 0: it is the truth
    weight: Tensor  # [B, blocks] of each block's loss


def stack_blocks(t: Tensor, blocks: int) -> Tensor:
    """[B, C, F, h, w] -> [B * blocks, C, F / blocks, h, w]."""
    return t.unflatten(2, (blocks, -1)).transpose(1, 2).flatten(0, 1)


def per_block(t: Tensor) -> Tensor:
    """Values [B, blocks] shaped to broadcast over stacked blocks."""
    return t.flatten().view(-1, 1, 1, 1, 1)


def mixed(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Stacked blocks under noise of `sigma` [B, blocks]."""
    return torch.lerp(clean, noise, per_block(sigma))


def flows(model: Model, batch: Batch, context: Tensor, noisy: Tensor, sigma: Tensor) -> Tensor:
    """The flow of all blocks of a batch, each after the block before it in `context`.

    context, noisy and the result are stacked blocks [B * blocks, 16, 3, h, w]; sigma [B, blocks] is that of
    the noisy ones. The context is told timestep 0, whatever noise it carries, as when playing.
    """
    transformer = model.transformer
    count, blocks = sigma.shape
    frames = LATENTS_PER_BLOCK
    told = torch.cat((torch.zeros_like(sigma), sigma)).flatten() * 1000
    first = batch.start.view(-1, 1) + frames * torch.arange(blocks, device=sigma.device)
    with torch.autocast(noisy.device.type, torch.bfloat16, enabled=noisy.is_cuda):
        inputs = transformer.block_inputs(
            first.flatten().repeat(2),
            stack_blocks(batch.condition, blocks).repeat(2, 1, 1, 1, 1),
            Actions(batch.keyboard, batch.mouse).map(lambda rows: rows.flatten(0, 1).repeat(2, 1, 1)),
        )
        memory = teacher_forcing(transformer, model.image_encoder(batch.image), count, blocks)
        both = torch.cat((context, noisy))
        flow = transformer(both, told.view(-1, 1).expand(-1, frames), inputs, memory)
    return flow[len(noisy) :].float()


def flow_loss(model: Model, batch: Batch, *, resample: bool = False) -> Tensor:
    """Mean squared error of the flow, weighted by sigma (between the x0 and the flow objective).

    resample: where `batch.own` says so, blocks follow one that the model has made itself, as when playing.
    """
    blocks = batch.sigma.shape[2]
    clean = stack_blocks(batch.latents, blocks)
    unlike, noise = (stack_blocks(n, blocks) for n in batch.noise)
    context = mixed(clean, unlike, batch.sigma[0])
    if resample:
        with torch.no_grad():
            veiled = mixed(clean, unlike, batch.own)
            made = veiled - per_block(batch.own) * flows(model, batch, context, veiled, batch.own)
            context = torch.where(per_block(batch.own) > 0, made, context)
    flow = flows(model, batch, context, mixed(clean, noise, batch.sigma[1]), batch.sigma[1])
    error = (flow - (noise - clean)).square().mean((1, 2, 3, 4))
    return (error * batch.sigma[1].flatten() * batch.weight.flatten()).mean() / batch.weight.mean()


def draw_batch(data: Latents, pick: Tensor, rows: int, levels: Tensor) -> Batch:
    """The clips `pick` as a batch, with all that is random.

    `levels` are the sampler's noise levels, `rows` those of a block's actions.
    """
    device, blocks, batch = data.latents.device, data.latents.shape[2] // 3, len(pick)
    latents = data.latents[pick].float()
    # Half the clips begin a session; the others pretend to be far into one, where the condition is steady.
    later = torch.rand(batch, device=device) < 0.5
    start = torch.where(later, 3 * torch.randint(blocks, FAR // 3, (batch,), device=device), 0)
    mask = torch.zeros(batch, 4, *latents.shape[2:], device=device)
    mask[:, :, 0] = (~later).float().view(-1, 1, 1, 1)
    gray = data.gray[pick].float()
    gray = torch.where(later.view(-1, 1, 1, 1, 1), gray[:, :, -1:], gray)
    row = 12 * torch.arange(blocks, device=device).view(-1, 1) - 12 + torch.arange(rows, device=device)
    row = row.clamp(min=0)

    level = levels[torch.randint(len(levels), (batch, blocks), device=device)]
    free = torch.rand(batch, blocks, device=device) * 0.97 + 0.03
    noisy = torch.where(torch.rand(batch, blocks, device=device) < SAMPLER_SHARE, level, free)
    clean = torch.rand(batch, blocks, device=device) * CONTEXT_NOISE
    clean = clean * (torch.rand(batch, blocks, device=device) < 0.5)
    own = OWN_NOISE[0] + (OWN_NOISE[1] - OWN_NOISE[0]) * torch.rand(batch, blocks, device=device)
    own = own * (torch.rand(batch, blocks, device=device) < OWN_SHARE)
    weight = torch.ones(batch, blocks, device=device)
    weight[:, 0] = FIRST * ~later  # far into a session, a block without its predecessor is never made
    return Batch(
        latents,
        torch.cat((mask, gray), dim=1),
        clips.to_float(data.image[pick]),
        data.keyboard[pick][:, row],
        data.mouse[pick][:, row],
        start,
        torch.randn(2, *latents.shape, device=device),
        torch.stack((clean, noisy)),
        own,
        weight,
    )


def train(
    model: Model,
    data: Latents,
    seconds: float = math.inf,
    *,
    steps: int = 0,
    batch: int,
    muon: float = 0.015,
    resample_from: float = 0.4,
    report: float = 20.0,
    every: float = math.inf,
    keep: Callable[[], None] = lambda: None,
) -> int:
    """Train for `seconds` (or for `steps`) on random batches of clips; returns the number of steps.

    From the share `resample_from` of the way on, contexts are of the model's own making. Every `every`
    seconds `keep` is called. Then and at the end the model holds its averaged weights.
    """
    device = data.latents.device
    optimizer = Optimizer(model, muon=muon, adam=muon / 5)
    levels = Schedule.from_config(SAMPLING).sigmas.to(device)
    rows = window_rows(model.transformer.config.action_config, LATENTS_PER_BLOCK)
    compile_blocks(model)

    def loss(resample: bool, **inputs: Tensor) -> Tensor:
        return flow_loss(model, Batch(**inputs), resample=resample)

    run = {resample: Step(partial(loss, resample), optimizer) for resample in (False, True)}

    def step(_index: int, done: float) -> Tensor:
        pick = torch.randint(len(data.latents), (batch,), device=device)
        return run[done >= resample_from](**draw_batch(data, pick, rows, levels)._asdict())

    return train_for(
        "dit", optimizer, step, seconds=seconds, steps=steps, report=report, every=every, keep=keep
    )


def compile_blocks(model: Model) -> None:
    """On a GPU: one kernel where plain PyTorch launches many."""
    if model.transformer.device.type == "cuda":
        torch._dynamo.config.recompile_limit = (
            64  # with and without gradients, action modules, frozen weights
        )
        for layer in model.transformer.blocks:
            layer.compile(dynamic=False)


def save(model: Model, folder: Path) -> None:
    """The weights in fp16, in the layout of the published files."""
    folder.mkdir(parents=True, exist_ok=True)
    for prefix, name in PARTS:
        part = getattr(model, name)
        tensors = {prefix + k: v.detach().half().contiguous() for k, v in part.state_dict().items()}
        save_file(tensors, folder / f"{name}.safetensors")


def main() -> None:
    parser = command(__doc__, mode=True)
    parser.add_argument("--latents", type=Path, nargs="+", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--start", type=Path, help="a folder with weights to begin with")
    parser.add_argument("--rate", type=float, default=0.015, help="learning rate of the matrices")
    parser.add_argument(
        "--resample-from", type=float, default=0.4, help="share of the time without own contexts"
    )
    parser.add_argument("--wait", type=Path, metavar="FILE", help="compile, then wait until this is there")
    args = parser.parse_args()
    device = best_device()
    torch.manual_seed(0)
    torch.set_float32_matmul_precision("high")
    model = Model(*tiny_config(MODES[args.mode]))
    if args.start:
        print(f"learned from scratch: {', '.join(model.load(args.start))}", flush=True)
    model.to(device)
    if args.wait:  # what is compiled for a copy serves the model
        blank = Latents.blank(args.batch, args.mode, device)
        train(copy.deepcopy(model), blank, steps=2, batch=args.batch, resample_from=0.5)
        print("compiled", flush=True)
        wait_for(args.wait)
    data = Latents.load(args.latents, device)
    print(f"{len(data.latents)} clips; latent std {float(data.latents[:200].float().std()):.3f}", flush=True)

    def keep() -> None:
        save(model, args.out)

    options = {"batch": args.batch, "muon": args.rate, "resample_from": args.resample_from}
    steps = train(model, data, args.seconds, every=40, keep=keep, **options)
    print(f"trained {steps} steps of {args.batch} clips", flush=True)
    keep()


if __name__ == "__main__":
    main()
