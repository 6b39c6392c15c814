"""What all stages train with: the optimizer, the whole step as one CUDA graph, and the loop around it."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from itertools import chain

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
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x if wide else x.mT).to(g.dtype)


def flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([t.reshape(-1) for t in tensors])


class Optimizer:
    """Muon (orthogonalised momentum) on matrices and kernels, Adam on everything else, and an EMA.

    Embeddings and matrices with a side below 16 count as everything else. A step with a gradient that is not
    finite changes nothing: it must not end a run.

    The hundreds of small parameters are handled as one long vector, matrices of one shape side by side, since
    a kernel a parameter would take longer than all else. All state is on the device and the learning rate's
    factor is a tensor, so that `step` can be captured in a CUDA graph.
    """

    BETAS = 0.9, 0.98  # Adam's

    def __init__(self, module: nn.Module, *, muon: float, adam: float = 3e-3, ema: float = 0.999):
        matrices, rest = defaultdict(list), []
        for name, p in module.named_parameters():
            if not p.requires_grad:
                continue
            if p.ndim >= 2 and min(p.shape[0], p[0].numel()) >= 16 and "embedding" not in name:
                matrices[p.shape[0], p[0].numel()].append(p)
            else:
                rest.append(p)
        self.groups = [(len(group), *shape) for shape, group in matrices.items()]
        self.params = [*chain(*matrices.values()), *rest]
        self.sizes = [p.numel() for p in self.params]
        self.muon, self.adam, self.ema_rate = muon, adam, ema
        self.ema = flat(p.detach() for p in self.params)
        self.split = sum(math.prod(group) for group in self.groups)  # where the matrices end
        self.momentum = torch.zeros_like(self.ema)
        self.square = torch.zeros_like(self.ema[self.split :])
        self.count = self.ema.new_zeros(())
        self.factor = self.ema.new_ones(())

    def set_factor(self, factor: float) -> None:
        """Scale both learning rates; call it outside the captured step."""
        self.factor.fill_(factor)

    @torch.no_grad()
    def step(self) -> None:
        grads = flat(p.grad for p in self.params)
        finite = grads.isfinite().all()
        grads, good = torch.where(finite, grads, 0.0), finite.float()  # good: 0 stops all that moves below
        update = torch.cat((self._muon(grads, good), self._adam(grads[self.split :], good)))
        torch._foreach_sub_(self.params, self._views(update * (self.factor * good)))
        self.ema.lerp_(flat(self.params), (1 - self.ema_rate) * good)

    def _muon(self, grads: Tensor, good: Tensor) -> Tensor:
        grads, momentum = grads[: self.split], self.momentum[: self.split]
        momentum.lerp_(grads, 0.05 * good)
        parts = grads.lerp(momentum, 0.95).split([math.prod(group) for group in self.groups])
        return flat(
            orthogonalise(part.view(group)) * (self.muon * max(1.0, group[1] / group[2]) ** 0.5)
            for group, part in zip(self.groups, parts, strict=True)
        )

    def _adam(self, grads: Tensor, good: Tensor) -> Tensor:
        (beta1, beta2), mean = self.BETAS, self.momentum[self.split :]
        mean.lerp_(grads, (1 - beta1) * good)
        self.square.lerp_(grads.square(), (1 - beta2) * good)
        self.count += good
        count = self.count.clamp(min=1)
        size = (self.square / (1 - beta2**count)).sqrt() + 1e-8
        return self.adam * mean / (1 - beta1**count) / size

    def _views(self, vector: Tensor) -> list[Tensor]:
        """Its parts, in the parameters' shapes."""
        return [t.view_as(p) for t, p in zip(vector.split(self.sizes), self.params, strict=True)]

    def zero_grad(self) -> None:
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def swap_ema(self) -> None:
        """Exchange the weights with their averages."""
        held = flat(self.params)
        torch._foreach_copy_(self.params, self._views(self.ema))
        self.ema.copy_(held)


class Step:
    """Runs `loss(**inputs)`, its gradient and the optimizer; on a GPU as one replayed graph.

    Small models are bound by kernel launches; replaying removes them. The inputs' shapes must stay the same,
    and the loss that is returned is overwritten by the next call.
    """

    def __init__(self, loss: Callable[..., Tensor], optimizer: Optimizer):
        self.loss, self.optimizer = loss, optimizer
        self.captured: torch.cuda.CUDAGraph | None = None
        self.inputs: dict[str, Tensor] = {}  # what the graph reads
        self.value: Tensor | None = None  # what it writes
        self.warm_up = 3

    def __call__(self, **inputs: Tensor) -> Tensor:
        if not self.optimizer.factor.is_cuda:
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
            self.optimizer.zero_grad()
            with torch.cuda.graph(self.captured):
                self.value = self._run(self.inputs)
        for name, t in inputs.items():
            self.inputs[name].copy_(t)
        self.captured.replay()
        return self.value

    def _run(self, inputs: dict[str, Tensor]) -> Tensor:
        self.optimizer.zero_grad()
        value = self.loss(**inputs)
        value.backward()
        self.optimizer.step()
        return value.detach()


def trapezoid(done: float, *, rise: float = 0.02, fall: float = 0.5) -> float:
    """Learning-rate factor at `done` of the time in [0, 1]: linear rise, plateau, linear fall to 0."""
    return max(0.0, min(1.0, done / rise, (1 - done) / fall))


def train_for(
    name: str,
    optimizer: Optimizer,
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
        optimizer.set_factor(trapezoid(done))
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
            optimizer.swap_ema()
            keep()
            optimizer.swap_ema()
            kept = now
    optimizer.swap_ema()
    return count
