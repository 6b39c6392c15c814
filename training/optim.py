"""The optimiser of all stages, and the whole training step as one CUDA graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

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

    All state is on the device and the learning rate's factor is a tensor, so that `step` can be captured in
    a CUDA graph.
    """

    def __init__(
        self, modules: Iterable[nn.Module], *, muon: float = 0.02, adamw: float = 3e-3, ema: float = 0.999
    ):
        named = [(n, p) for module in modules for n, p in module.named_parameters() if p.requires_grad]
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

    Small models are bound by kernel launches; replaying removes them. The inputs' shapes must stay the same.
    """

    def __init__(self, loss: Callable[..., Tensor], optimiser: Optimiser, graph: bool):
        self.loss, self.optimiser, self.graph = loss, optimiser, graph
        self.captured: torch.cuda.CUDAGraph | None = None
        self.warm_up = 3

    def __call__(self, **inputs: Tensor) -> Tensor:
        if not self.graph:
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
