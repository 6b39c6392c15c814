"""The transformer's passes as captured graphs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mgdemo.model.action import Actions
from mgdemo.model.cache import LayerMemory, Memory, Ring
from mgdemo.model.fast.graphs import CapturedGraph, GraphPool, StaticBuffers
from mgdemo.model.layers import BlockInputs
from mgdemo.model.transformer import Transformer


class GraphedTransformer(nn.Module):
    """Replaces a transformer: one graph for each kind of pass and number of tokens remembered."""

    def __init__(self, net: Transformer):
        super().__init__()
        self.net = net
        self._pool = GraphPool(net.device)
        self._graphs: dict[tuple[str, int], CapturedGraph] = {}
        # What the graphs read beside the weights:
        self._arguments, self._inputs = StaticValue(), StaticValue()
        self._x, self._timestep = StaticValue(), StaticValue()
        self._given: BlockInputs | None = None  # whose values are in `_inputs`
        self._memory = Memory()  # in the tensors of `_rings`
        self._rings: StaticBuffers[Memory] | None = None

    def memory(self, image_tokens: Tensor, height: int, width: int) -> Memory:
        """As a transformer's, in the static buffers if nobody uses them."""
        rings, (_, rows, columns) = self._rings, self.net.config.patch_size
        tokens = (height // rows) * (width // columns)
        if rings is None or rings.owner is not None:
            return self.net.memory(image_tokens, height, width)
        if self._memory.layers[0].video.tokens_per_frame != tokens:
            return self.net.memory(image_tokens, height, width)
        memory = emptied(self._memory)
        for layer, pair in zip(memory.layers, self.net.cross_memory(image_tokens), strict=True):
            for mine, new in zip(layer.cross, pair, strict=True):
                mine.copy_(new)
        rings.bind(memory)
        return memory

    def block_inputs(self, start_frame: int, condition: Tensor, actions: Actions) -> BlockInputs:
        start = torch.full((1,), start_frame, device=condition.device)
        self._set(self._arguments, (start, condition, actions))
        return cloned(self._run(("inputs", 0), lambda: self.net.block_inputs(*self._arguments.value)))

    def forward(self, x: Tensor, timestep: Tensor, inputs: BlockInputs, memory: Memory) -> Tensor:
        filled = self._load(x, inputs, memory)
        self._set(self._timestep, timestep)

        def step() -> Tensor:
            return self.net(self._x.value, self._timestep.value, self._inputs.value, self._memory)

        return self._run(("step", filled), step).clone()

    def remember(self, x: Tensor, inputs: BlockInputs, memory: Memory) -> None:
        filled = self._load(x, inputs, memory)

        def clean() -> None:
            self.net.remember(self._x.value, self._inputs.value, self._memory)

        self._run(("clean", filled), clean)

    def _load(self, x: Tensor, inputs: BlockInputs, memory: Memory) -> int:
        """Put everything where the graphs look for it; gives the number of tokens remembered."""
        rings = self._rings
        if rings is None or not rings.fit(memory):
            self._graphs.clear()
            rings = self._rings = StaticBuffers(tensors_of(memory), tensors_of, bind)
            self._memory = emptied(memory)
            rings.bind(memory)
        rings.load(memory)
        if memory.position and self._memory.position != memory.position:
            self._memory.begin_block(*memory.position)
        self._set(self._x, x)
        if inputs is not self._given:
            self._set(self._inputs, inputs)
            self._given = inputs
        return self._memory.layers[0].video.filled

    def _set(self, static: StaticValue, value: Any) -> None:
        if not static.set(value):
            self._graphs.clear()

    def _run(self, key: tuple[str, int], function: Callable[[], Any]) -> Any:
        if key not in self._graphs:
            self._graphs[key] = CapturedGraph(function, self._pool)
        return self._graphs[key].run()


class StaticValue:
    """A tensor, or a structure of tensors, at addresses that stay as long as sizes do."""

    def __init__(self):
        self.value: Any = None

    def set(self, value: Any) -> bool:
        """Copy a value; False if that of before has moved, because sizes have changed."""
        mine, new = list(leaves(self.value)), list(leaves(value))
        if [t.shape for t in mine] == [t.shape for t in new]:
            torch._foreach_copy_(mine, new)  # pyright: ignore[reportPrivateImportUsage]
            return True
        self.value = cloned(value)
        return not mine


def tensors_of(memory: Memory) -> list[Tensor]:
    """All that a memory is made of."""
    rings = [part for ring in memory.rings for part in (ring.k, ring.v)]
    return rings + [part for layer in memory.layers for part in layer.cross]


def bind(memory: Memory, tensors: list[Tensor]) -> None:
    """Let a memory use these instead of its `tensors_of`."""
    given = iter(tensors)
    for ring in memory.rings:
        ring.k, ring.v = next(given), next(given)
    for layer in memory.layers:
        layer.cross = next(given), next(given)


def emptied(memory: Memory) -> Memory:
    """An empty memory in the same tensors."""

    def ring(of: Ring) -> Ring:
        return Ring(of.k, of.v, of.tokens_per_frame)

    return Memory(
        [
            LayerMemory(ring(x.video), x.cross, x.mouse and ring(x.mouse), x.keyboard and ring(x.keyboard))
            for x in memory.layers
        ]
    )


def leaves(value: Any) -> Iterator[Tensor]:
    """The tensors of nested dataclasses and tuples, in order."""
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from leaves(part)


def cloned(value: Any) -> Any:
    """A copy of nested dataclasses and tuples, and of their tensors."""
    if is_dataclass(value):
        return type(value)(**{field.name: cloned(getattr(value, field.name)) for field in fields(value)})
    if isinstance(value, tuple):
        return tuple(cloned(part) for part in value)
    return value.clone() if isinstance(value, Tensor) else value
