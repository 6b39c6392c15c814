"""What all stages train with: the optimiser, the whole step as one CUDA graph, and the loop around it."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable

import torch
from torch import Tensor, nn


def orthogonalise(g: Tensor, steps: int = 5) -> Tensor:
    """Nearest semi-orthogonal matrices of g [B, M, N], by Newton-Schulz iteration in bfloat16 (Muon)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = g.shape[-2] <= g.shape[-1]
    x = g.bfloat16() if wide else g.bfloat16().mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x if wide else x.mT).to(g.dtype)


class Optimiser:
    """Muon (orthogonalised momentum) on matrices and kernels, AdamW on everything else, and an EMA.

    Embeddings and matrices with a side below 16 count as everything else. All state is on the device and the
    learning rate's factor is a tensor, so that `step` can be captured in a CUDA graph.
    """

    def __init__(self, module: nn.Module, *, muon: float, adamw: float = 3e-3, ema: float = 0.999):
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        self.params = [p for _, p in named]
        matrices = [
            p
            for n, p in named
            if p.ndim >= 2 and min(p.shape[0], p[0].numel()) >= 16 and "embedding" not in n
        ]
        chosen = {id(p) for p in matrices}
        self.groups: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
        for p in matrices:
            self.groups[p.shape[0], p[0].numel()].append(p)
        device = self.params[0].device
        self.factor = torch.ones((), device=device)
        self.momentum = {k: torch.zeros(len(v), *k, device=device) for k, v in self.groups.items()}
        self.muon, self.ema_rate = muon, ema
        self.rate = torch.tensor(adamw, device=device)
        self.adamw_peak = adamw
        self.adamw = torch.optim.AdamW(
            [p for p in self.params if id(p) not in chosen],
            lr=self.rate if device.type == "cuda" else adamw,
            betas=(0.9, 0.98),
            weight_decay=0.0,
            capturable=device.type == "cuda",
        )
        self.ema = [p.detach().clone() for p in self.params]

    def set_factor(self, factor: float) -> None:
        """Scale both learning rates; call it outside the captured step."""
        self.factor.fill_(factor)
        self.rate.fill_(factor * self.adamw_peak)
        for group in self.adamw.param_groups:
            if not isinstance(group["lr"], Tensor):
                group["lr"] = factor * self.adamw_peak

    @torch.no_grad()
    def step(self) -> None:
        finite = torch.stack([p.grad.isfinite().all() for p in self.params]).all()
        for p in self.params:  # one bad step must not end a run
            p.grad.copy_(torch.where(finite, p.grad, 0.0))
        for (rows, columns), params in self.groups.items():
            grads = torch.stack([p.grad.reshape(rows, columns) for p in params]).float()
            momentum = self.momentum[rows, columns]
            momentum.lerp_(grads, 0.05)
            update = orthogonalise(grads.lerp(momentum, 0.95)) * max(1.0, rows / columns) ** 0.5
            for p, u in zip(params, update, strict=True):
                p.addcmul_(u.view_as(p), self.factor, value=-self.muon)
        self.adamw.step()
        torch._foreach_lerp_(self.ema, self.params, 1 - self.ema_rate)

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def swap_ema(self) -> None:
        """Exchange the weights with their averages."""
        for p, average in zip(self.params, self.ema, strict=True):
            held = p.clone()
            p.copy_(average)
            average.copy_(held)


class Step:
    """Runs `loss(**inputs)`, its gradient and the optimiser; on a GPU as one replayed graph.

    Small models are bound by kernel launches; replaying removes them. The inputs' shapes must stay the same,
    and the loss that is returned is overwritten by the next call.
    """

    def __init__(self, loss: Callable[..., Tensor], optimiser: Optimiser):
        self.loss, self.optimiser = loss, optimiser
        self.captured: torch.cuda.CUDAGraph | None = None
        self.inputs: dict[str, Tensor] = {}  # what the graph reads
        self.value: Tensor | None = None  # what it writes
        self.warm_up = 3

    def __call__(self, **inputs: Tensor) -> Tensor:
        if not self.optimiser.factor.is_cuda:
            return self._run(inputs)
        if self.captured is None:
            if self.warm_up:
                self.warm_up -= 1
                side = torch.cuda.Stream()
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    value = self._run(inputs)
                torch.cuda.current_stream().wait_stream(side)
                return value
            self.inputs = {name: t.clone() for name, t in inputs.items()}
            self.captured = torch.cuda.CUDAGraph()
            self.optimiser.zero_grad()
            with torch.cuda.graph(self.captured):
                self.value = self._run(self.inputs)
        for name, t in inputs.items():
            self.inputs[name].copy_(t)
        self.captured.replay()
        return self.value

    def _run(self, inputs: dict[str, Tensor]) -> Tensor:
        self.optimiser.zero_grad()
        value = self.loss(**inputs)
        value.backward()
        self.optimiser.step()
        return value.detach()


def trapezoid(done: float, *, rise: float = 0.02, fall: float = 0.5) -> float:
    """Learning-rate factor at `done` of the time in [0, 1]: linear rise, plateau, linear fall to 0."""
    return max(0.0, min(1.0, done / rise, (1 - done) / fall))


def train_for(
    name: str,
    optimiser: Optimiser,
    step: Callable[[int, float], Tensor],
    *,
    seconds: float = math.inf,
    steps: int = 0,
    report: float = 20.0,
    every: float = math.inf,
    keep: Callable[[], None] = lambda: None,
) -> int:
    """Call step(index, share done), which returns its loss, for `seconds`, or `steps` times if given.

    Every `report` seconds the mean loss is printed, every `every` seconds `keep` is called, with the averaged
    weights in place; so they are at the end. Returns the number of steps.
    """
    begin = told = kept = time.perf_counter()
    count, mean = 0, None
    while (done := count / steps if steps else (time.perf_counter() - begin) / seconds) < 1:
        optimiser.set_factor(trapezoid(done))
        value = step(count, done)
        count += 1
        mean = value.clone() if mean is None else mean.lerp_(value, 0.02)
        if count % 50 == 0 and value.is_cuda:
            torch.cuda.synchronize()  # keep the queue short, so that the clock is honest
        now = time.perf_counter()
        if now - told > report:
            print(f"{name} {now - begin:5.0f} s, step {count}, loss {float(mean):.4f}", flush=True)
            told = now
        if now - kept > every:
            optimiser.swap_ema()
            keep()
            optimiser.swap_ema()
            kept = now
    optimiser.swap_ema()
    return count
