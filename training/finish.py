"""Stage 4: the finish. The model is judged by how likely its pictures look, not by how close to the truth.

    python -m training.finish --mode universal --latents FILE [FILE ...] --start DIR --out DIR --seconds 300

A flow is the mean of all that could be, so a small model paints softly, and then continues from what it has
painted. Here it learns from its own sessions (as in Self-Forcing, arXiv:2506.08009), against an adversary in
latent space (as in DMD2, arXiv:2405.14867):

- **Sessions without playing them.** Some clips' latents are kept in a second copy, at first the truth. Every
  time a clip comes up, all its blocks are sampled at once in the sampler's few steps, each after the block
  before it in that copy, and what was made replaces what was there. So block i soon follows i blocks of the
  model's own making, though none had to wait for the others. When it has come up some times, another clip
  takes its place, before the critic knows it by heart.
- **The critic** is a copy of the model with a new head. It sees a block under some noise, with the actions,
  and answers with one number for each place of the latents. Where it expects the block before, it gets noise:
  by that it would recognize an old session, whatever the model makes of it now. Made and true blocks are
  compared in pairs (relativistic loss, arXiv:1807.00734).
- **The model** learns to make its own block the likelier one, through one of its sampling steps chosen at
  random, and keeps learning the flow of the truth, so that it does not forget what the keys mean.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from mgdemo.actions import MODES
from mgdemo.blocks import LATENTS_PER_BLOCK
from mgdemo.model.action import window_rows
from mgdemo.model.flow import Schedule
from training import best_device, command, wait_for
from training.dit import (
    SAMPLING,
    Batch,
    Model,
    compile_blocks,
    draw_batch,
    flow_loss,
    flows,
    mixed,
    per_block,
    save,
    stack_blocks,
    tiny_config,
)
from training.latents import Latents
from training.optim import Optimizer, Step, train_for

EXITS = (0.4, 0.6)  # how often each sampling step is the one that learns
PLAYED = 160  # clips that are being played
VISITS = 8  # how often one of them comes up before another takes its place: it has 7 blocks
JUDGED = (0.05, 0.6)  # noise on the block that the critic sees
ALONE = 0.06  # share of the time in which the critic alone learns
WEIGHT = 0.5  # of the adversary, against the flow
CRITIC = 0.7  # its learning rate, over the model's


def critic_of(model: Model) -> Model:
    """A copy that answers with logits in place of flows; it begins undecided."""
    critic = copy.deepcopy(model)
    torch.nn.init.normal_(critic.transformer.head.head.weight, std=1e-3)
    torch.nn.init.zeros_(critic.transformer.head.head.bias)
    return critic


def sample(
    model: Model, batch: Batch, context: Tensor, noises: Tensor, exits: Tensor, schedule: Schedule
) -> tuple[Tensor, Tensor]:
    """Stacked blocks made in few steps after those of `context`: each left at its own step, and finished.

    noises [steps, B * blocks, 16, 3, h, w]: what each step begins with or mixes in. exits int64 [B, blocks].
    Only the step at which a block is left learns.
    """
    sigmas, scale = schedule.sigmas.tolist(), schedule.noise_scale
    left, sigma_left = noises[0], torch.full(exits.shape, sigmas[0], device=noises.device)
    with torch.no_grad():
        x = noises[0]
        for i, sigma in enumerate(sigmas):
            if i:
                x = (1 - sigma) * x + sigma * scale * noises[i]
                left = torch.where(per_block(exits >= i), x, left)
                sigma_left = torch.where(exits >= i, sigma, sigma_left)
            x = x - sigma * flows(model, batch, context, x, torch.full_like(sigma_left, sigma))
    return left - per_block(sigma_left) * flows(model, batch, context, left, sigma_left), x


class Finish:
    """The two losses, and what the model's leaves behind."""

    def __init__(self, model: Model, critic: Model, schedule: Schedule, weight: float = WEIGHT):
        self.model, self.critic, self.schedule, self.weight = model, critic, schedule, weight
        # Stacked blocks of the latest batch, as they were left and finished; always the same memory.
        self.made: tuple[Tensor, Tensor] | None = None

    def logits(self, batch: Batch, block: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
        """The critic's answers [B * blocks, 3, h, w] for stacked blocks under noise."""
        return flows(self.critic, batch, noise[0], mixed(block, noise[1], sigma), sigma).mean(1)

    def model_loss(
        self, played: Tensor, noises: Tensor, exits: Tensor, judged: Tensor, veils: Tensor, **inputs
    ):
        """played [B, 16, F, h, w]: the copies to continue from; judged [B, blocks], veils [2, B * blocks, …]:
        the critic's noise levels and noises; the rest as in `sample`."""
        batch, self_made = Batch(**inputs), stack_blocks(played, exits.shape[1])
        self.critic.requires_grad_(False)
        left, finished = sample(self.model, batch, self_made, noises, exits, self.schedule)
        with torch.no_grad():
            true = stack_blocks(batch.latents, exits.shape[1])
            rival = self.logits(batch, true, veils, judged)
            if self.made is None:
                self.made = torch.empty_like(left), torch.empty_like(left)
            for kept, made in zip(self.made, (left, finished), strict=True):
                kept.copy_(made)
        likely = self.logits(batch, left, veils, judged)
        return flow_loss(self.model, batch) + self.weight * self._mean(F.softplus(rival - likely), batch)

    def critic_loss(self, made: Tensor, judged: Tensor, veils: Tensor, **inputs) -> Tensor:
        batch = Batch(**inputs)
        self.critic.requires_grad_(True)
        true = stack_blocks(batch.latents, judged.shape[1])
        real, fake = (self.logits(batch, blocks, veils, judged) for blocks in (true, made))
        drift = 1e-3 * (real.square().mean() + fake.square().mean())
        return self._mean(F.softplus(fake - real), batch) + drift

    @staticmethod
    def _mean(value: Tensor, batch: Batch) -> Tensor:
        return (value.mean((1, 2, 3)) * batch.weight.flatten()).mean() / batch.weight.mean()


def train(
    model: Model,
    data: Latents,
    seconds: float = math.inf,
    *,
    steps: int = 0,
    batch: int,
    rate: float = 0.002,
    critic_rate: float = CRITIC,
    weight: float = WEIGHT,
    visits: int = VISITS,
    at_once: int = PLAYED,
    noise_scale: float = 1.0,
    report: float = 20.0,
    every: float = math.inf,
    keep: Callable[[], None] = lambda: None,
) -> int:
    """Finish a trained model for `seconds` (or for `steps`); returns the number of steps.

    `rate`: learning rate of the matrices, `critic_rate` times that for the critic's. At first the critic
    learns alone. The model holds its averaged weights whenever `keep` is called and at the end.
    """
    device, blocks = data.latents.device, data.latents.shape[2] // 3
    critic = critic_of(model)
    for net in (model, critic):
        compile_blocks(net)
    schedule = Schedule.from_config(SAMPLING)
    schedule.noise_scale = noise_scale
    levels = schedule.sigmas.to(device)
    rows = window_rows(model.transformer.config.action_config, LATENTS_PER_BLOCK)
    learner = Optimizer(model, muon=rate, adam=rate / 5, ema=0.995)
    opponent = Optimizer(critic, muon=critic_rate * rate, adam=critic_rate * rate / 5)
    game = Finish(model, critic, schedule, weight)
    model_step, critic_step = Step(game.model_loss, learner), Step(game.critic_loss, opponent)
    chances = torch.tensor(EXITS[-len(levels) :], device=device).expand(batch * blocks, -1)
    order = torch.randperm(len(data.latents)).tolist()
    count = max(at_once, batch)
    # The clips that are being played.
    active = torch.tensor([order[i % len(order)] for i in range(count)], device=device)
    played = data.latents[active]

    def step(index: int, done: float) -> Tensor:
        here = torch.randperm(count, device=device)[:batch]
        drawn = draw_batch(data, active[here], rows, levels)
        inputs = drawn._asdict()
        self_made = played[here].float()
        shared = {
            "judged": JUDGED[0] + (JUDGED[1] - JUDGED[0]) * torch.rand(batch, blocks, device=device),
            "veils": torch.randn(2, batch * blocks, 16, 3, *drawn.latents.shape[3:], device=device),
        }
        exits = torch.multinomial(chances, 1).view(batch, blocks)
        noises = torch.randn(len(levels), *shared["veils"].shape[1:], device=device)
        if done < ALONE:
            learner.set_factor(0.0)
        value = model_step(played=self_made, noises=noises, exits=exits, **shared, **inputs).clone()
        left, finished = game.made
        opponent.set_factor(float(min(1.0, 2 * (1 - done))))
        critic_step(made=left, **shared, **inputs)
        # A block with neither predecessor nor start image is made from nothing: none continues from it.
        known = (drawn.weight > 0).repeat_interleave(finished.shape[2], 1).view(batch, 1, -1, 1, 1)
        made = finished.unflatten(0, (batch, blocks)).transpose(1, 2).flatten(2, 3)
        played[here] = torch.where(known, made, self_made).to(played.dtype)
        for new in range(index * batch // visits, (index + 1) * batch // visits):
            clip = order[(count + new) % len(order)]
            active[new % count], played[new % count] = clip, data.latents[clip]
        return value

    return train_for(
        "finish", learner, step, seconds=seconds, steps=steps, report=report, every=every, keep=keep
    )


def main() -> None:
    parser = command(__doc__, mode=True)
    parser.add_argument("--latents", type=Path, nargs="+", required=True)
    parser.add_argument("--start", type=Path, required=True, help="the folder of stage 3")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--weight", type=float, default=WEIGHT, help="of the adversary")
    parser.add_argument("--rate", type=float, default=0.002, help="learning rate of the matrices")
    parser.add_argument("--visits", type=int, default=VISITS, help="of a clip, then another takes its place")
    parser.add_argument("--critic", type=float, default=CRITIC, help="learning rate of the critic, over that")
    parser.add_argument("--wait", type=Path, metavar="FILE", help="compile, then wait until this is there")
    args = parser.parse_args()
    device = best_device()
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    options = {"batch": args.batch, "rate": args.rate, "weight": args.weight, "critic_rate": args.critic}
    options["visits"] = args.visits
    model = Model(*tiny_config(MODES[args.mode])).to(device)
    if args.wait:  # what is compiled for a copy serves the model
        train(copy.deepcopy(model), Latents.blank(args.batch, args.mode, device), steps=1, **options)
        print("compiled", flush=True)
        wait_for(args.wait)
    data = Latents.load(args.latents, device)
    model.load(args.start)

    def keep() -> None:
        save(model, args.out)

    steps = train(model, data, args.seconds, every=40, keep=keep, **options)
    print(f"finished in {steps} steps of {args.batch} clips", flush=True)
    keep()


if __name__ == "__main__":
    main()
