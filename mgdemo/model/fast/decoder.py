"""The VAE's decoder as captured graphs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mgdemo.model.fast.graphs import CapturedGraph, GraphPool, StaticBuffers
from mgdemo.model.vae import State


class NextState(State):
    """What a stream remembers `before` a piece; what it remembers next goes to the tensors of `after`."""

    def __init__(self, before: State, after: State):
        super().__init__(before)
        self.after = after

    def __setitem__(self, layer: nn.Module, frames: Tensor) -> None:
        self.after[layer].copy_(frames)


class GraphedDecoder(nn.Module):
    """Replaces a VAE's decoder: one graph for each number of latents, for streams that have begun.

    A graph reads the state from one set of tensors and leaves the next state in another, the sets in turns.
    So nothing is moved, and of three sets two hold what the stream remembered one piece and two pieces ago: a
    block has two, and can be regenerated (1 GB a set at the published sizes). Streams take turns in the sets;
    the states of the others wait on the host.
    """

    def __init__(self, decoder: nn.Module, sets: int = 3):
        super().__init__()
        self.decoder = decoder
        self.takeovers = 0  # how often another stream's state was loaded
        self._count = sets
        self._pool = GraphPool(next(decoder.parameters()).device)
        self._graphs: dict[tuple[torch.Size, int], tuple[Tensor, CapturedGraph]] = {}
        self._sets: list[State] = []
        self._current = 0  # index of the set that holds the owner's state
        self._static: StaticBuffers[State] | None = None  # that set

    def forward(self, x: Tensor, state: State) -> Tensor:
        if not state:
            return self.decoder(x, state)
        if self._static is None or not self._static.fit(state):
            self._allocate(state)
        self.load(state)
        following = (self._current + 1) % self._count
        key = x.shape, self._current
        if key not in self._graphs:
            given, onward = x.clone(), NextState(self._sets[self._current], self._sets[following])
            self._graphs[key] = given, CapturedGraph(lambda: self.decoder(given, onward), self._pool)
        given, graph = self._graphs[key]
        given.copy_(x)
        out = graph.run().clone()
        self._move_to(following, state)
        return out

    def load(self, state: State) -> None:
        """Bring a stream's state into the sets. It can be asked for early: copying it from the host takes
        an H100 20 ms."""
        if self._static is None or not state or not self._static.fit(state):
            return
        index = self._set_of(state)
        if index is None:
            self.takeovers += 1
            self._static.load(state)
        else:
            self._move_to(index, state)

    def contains(self, state: State) -> bool:
        """Whether a state is in the sets, where another stream will overwrite it."""
        return self._set_of(state) is not None

    def _allocate(self, state: State) -> None:
        """The sets, the first of which is what a stream remembers."""
        self._graphs.clear()
        self._sets, self._current = [State(state)], 0
        for _ in range(self._count - 1):
            self._sets.append(State((layer, torch.empty_like(t)) for layer, t in state.items()))
        self._static = StaticBuffers(list(state.values()), tensors_of, bind, spill_to_host=True)

    def _set_of(self, state: State) -> int | None:
        tensors = tensors_of(state)
        same = (i for i, each in enumerate(self._sets) if tensors and tensors_of(each)[0] is tensors[0])
        return next(same, None)

    def _move_to(self, index: int, state: State) -> None:
        self._current = index
        assert self._static is not None
        self._static.tensors = tensors_of(self._sets[index])
        self._static.bind(state)


def tensors_of(state: State) -> list[Tensor]:
    return list(state.values())


def bind(state: State, tensors: list[Tensor]) -> None:
    state.update(zip(state, tensors, strict=True))
