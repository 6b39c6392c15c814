"""Faster ways to the same results: kernels of our own, FP8 weights, captured programs.

The plain nets are what one reads; `optimise` puts another way of computing before a method of theirs. Each
part can be left out, and `python -m devtools.parity --optimize DIR` holds the result to the reference's.

**Captured programs.** A pass launches a thousand kernels, more than a CPU can ask for in time. Captured as
a CUDA graph it is one launch, but it knows memory by its addresses: what it reads and writes must stay where
it was. So a model has one `Seat` of such tensors, in which plays take turns: who comes in brings its caches,
and who leaves takes them along, which costs an H100 about a millisecond a gigabyte. A single play never
moves. Without a GPU the same programs run, but are not captured.
"""

from __future__ import annotations

import logging
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from mgdemo.config import Optimization
from mgdemo.model.cache import Memory
from mgdemo.model.transfer import to_host
from mgdemo.model.transformer import BlockInputs, Transformer
from mgdemo.model.vae import VAE, State

BACKENDS = [  # of attention, the fastest on an H100 first
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]

log = logging.getLogger(__name__)


def optimise(transformer: Transformer, vae: VAE, options: Optimization) -> None:
    """Make two nets faster, in place. Raises ValueError for FP8 where there is none."""
    device = transformer.device
    fused = with_kernels() if options.kernels and device.type == "cuda" else None
    if options.fp8 and fused is None:
        raise ValueError("FP8 needs our own kernels, that is an NVIDIA GPU and Triton: leave fp8 out.")
    if options.fp8 and torch.cuda.get_device_capability(device) < (8, 9):
        raise ValueError("This GPU does not compute in FP8 (compute capability 8.9): leave fp8 out.")
    if fused is not None:
        if "through" not in vars(transformer):
            transformer.through = fused.Layers(transformer, options.fp8)
        if "decode" not in vars(vae) and fused.RowDecoder.fits(vae):
            vae.decode = fused.RowDecoder(vae)
    if options.graphs:
        Passes(transformer)
        Decoding(vae, 2 if options.low_vram else 3)


def reserve_without_gaps() -> None:
    """Let PyTorch map a GPU's memory page by page, so that what starts of plays leave behind fits anything.

    For a card that is nearly full; to be called before the first tensor is on it. A user's own setting stays.
    """
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")


def with_kernels() -> ModuleType | None:
    """The nets on our own kernels; Triton, which they need, comes with PyTorch for NVIDIA GPUs on Linux."""
    try:
        from mgdemo.model import fused
    except ImportError:
        log.warning("Triton is not installed: without our own kernels the model plays slower.")
        return None
    return fused


# Captured programs


class Seat:
    """Tensors at addresses that programs know. One tenant at a time has its own in them.

    A tenant has `tensors` and a method `place(tensors)` that puts others in their place. Who leaves takes
    what was in the seat along: in the device's memory or, if `host`, in the host's.
    """

    def __init__(self, tensors: list[Tensor], host: bool = False):
        self.tensors, self.host = tensors, host
        self._holder: weakref.ref | None = None
        # Copies to the host and from it don't slow each other down.
        apart = host and tensors[0].is_cuda
        self._ways = [torch.cuda.Stream(tensors[0].device) for _ in range(2)] if apart else []

    @property
    def holder(self) -> Any:
        return self._holder and self._holder()

    def fits(self, tenant: Any) -> bool:
        return [t.shape for t in tenant.tensors] == [t.shape for t in self.tensors]

    def take(self, tenant: Any) -> None:
        """Let a tenant in. Who holds the seat takes its tensors along."""
        holder = self.holder
        if holder is tenant:
            return
        theirs, kept = tenant.tensors[::-1], []
        self.adopt(tenant)
        now = torch.cuda.current_stream(self._ways[0].device) if self._ways else None
        out, back = self._ways or (None, None)
        for way in self._ways:
            way.wait_stream(now)
        for mine in self.tensors:  # one after the other, so that the next one may use the memory of this one
            if holder is not None:
                with torch.cuda.stream(out):
                    kept.append(to_host(mine) if self.host else mine.clone())
            if back is not None:
                back.wait_stream(out)
            with torch.cuda.stream(back):
                mine.copy_(theirs.pop(), non_blocking=True)
        if now is not None:
            now.wait_stream(back)
        if holder is not None:
            holder.place(kept)

    def adopt(self, tenant: Any) -> None:
        """Let a tenant in whose tensors need not be brought."""
        tenant.place(self.tensors)
        self._holder = weakref.ref(tenant)


class Program:
    """A function without arguments that works on tensors at fixed addresses; captured on a GPU.

    What it returns is overwritten by the next program of its pool.
    """

    def __init__(self, function: Callable[[], Tensor | None], pool: Pool):
        self.run = function
        if pool.device.type != "cuda":
            return
        now = torch.cuda.current_stream(pool.device)
        side = pool.side(now)
        side.wait_stream(now)
        with torch.cuda.stream(side), sdpa_kernel(BACKENDS, set_priority=True):
            for _ in range(2):  # compiles, and lets libraries choose their kernels
                function()
        now.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may play other worlds meanwhile.
        capture = torch.cuda.graph(graph, pool.handle, side, capture_error_mode="thread_local")
        with capture, sdpa_kernel(BACKENDS, set_priority=True):
            value = function()

        def replay() -> Tensor | None:
            graph.replay()
            return value

        self.run = replay


class Pool:
    """Memory for programs that never run at the same time."""

    def __init__(self, device: torch.device):
        self.device = device
        self.handle = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
        self._side: torch.cuda.Stream | None = None

    def side(self, now: torch.cuda.Stream) -> torch.cuda.Stream:
        """Where to capture: always the same stream, since others would not share memory, of the priority of
        the one that the programs run on."""
        if self._side is None:
            self._side = torch.cuda.Stream(self.device, priority=now.priority)
        return self._side


class Passes:
    """A transformer's passes as programs, one for each kind of step and number of frames remembered."""

    def __init__(self, transformer: Transformer):
        self.net = transformer
        self.pool = Pool(transformer.device)
        self.programs: dict[tuple, Program] = {}
        self.seat: Seat | None = None
        self.memory_: Memory | None = None  # what the programs work on, in the seat's tensors
        self.asked: list[Tensor] = []  # what `given` is made of, likewise at addresses that stay
        self.given: BlockInputs | None = None
        self.x: Tensor | None = None
        self.timestep: Tensor | None = None
        transformer.forward, transformer.remember, transformer.memory = self.step, self.clean, self.memory
        transformer.block_inputs = self.inputs

    def inputs(
        self, start_frame: int, condition: Tensor, keyboard: Tensor, mouse: Tensor | None
    ) -> BlockInputs:
        """In place of `Transformer.block_inputs`. It always gives the same tensors, filled anew."""
        start = torch.full((1,), start_frame, device=self.net.device)
        asked = [start, condition, keyboard] + ([] if mouse is None else [mouse])
        if [t.shape for t in asked] != [t.shape for t in self.asked]:
            self.programs.clear()
            self.asked, self.x = [t.clone() for t in asked], None
            self.given = clone(self._gathered())
        for mine, theirs in zip(self.asked, asked, strict=True):
            mine.copy_(theirs)

        def gather() -> None:
            for mine, new in zip(leaves(self.given), leaves(self._gathered()), strict=True):
                mine.copy_(new)

        self._run(("inputs",), gather)
        return self.given

    def _gathered(self) -> BlockInputs:
        inputs = Transformer.block_inputs(self.net, *self.asked, *[None] * (4 - len(self.asked)))
        prepare = getattr(self.net.through, "prepare", None)
        return inputs if prepare is None else replace(inputs, prepared=prepare(inputs.actions))

    def memory(self, image_tokens: Tensor, height: int, width: int) -> Memory:
        """In place of `Transformer.memory`: that of the seat, if nobody has it."""
        free = self.seat is not None and self.seat.holder is None
        free = free and self.asked[1].shape[3:] == (height, width)
        if not free:
            return Transformer.memory(self.net, image_tokens, height, width)
        memory = self.memory_.twin()
        for layer, pair in zip(memory.layers, self.net.cross_memory(image_tokens), strict=True):
            for mine, new in zip(layer.cross, pair, strict=True):
                mine.copy_(new)
        self.seat.adopt(memory)
        return memory

    def step(self, x: Tensor, timestep: Tensor, inputs: BlockInputs, memory: Memory) -> Tensor:
        """In place of `Transformer.forward`."""
        filled = self._prepare(x, inputs, memory)
        self.timestep.copy_(timestep)
        return self._run(
            ("step", filled),
            lambda: Transformer.forward(self.net, self.x, self.timestep, self.given, self.memory_),
        ).clone()

    def clean(self, x: Tensor, inputs: BlockInputs, memory: Memory) -> None:
        """In place of `Transformer.remember`."""
        filled = self._prepare(x, inputs, memory)
        self._run(("clean", filled), lambda: Transformer.remember(self.net, self.x, self.given, self.memory_))

    def _run(self, key: tuple, function: Callable[[], Tensor | None]) -> Tensor | None:
        if key not in self.programs:
            self.programs[key] = Program(function, self.pool)
        return self.programs[key].run()

    def _prepare(self, x: Tensor, inputs: BlockInputs, memory: Memory) -> int:
        """Put everything where the programs look for it; gives the number of tokens remembered."""
        if inputs is not self.given:
            raise ValueError("A captured pass takes what block_inputs gave last.")
        if self.seat is None or not self.seat.fits(memory):
            self.programs.clear()
            self.seat, self.memory_ = Seat(memory.tensors), memory.twin()
            self.seat.adopt(memory)
        self.seat.take(memory)
        if self.memory_.position != memory.position:
            self.memory_.begin_block(*memory.position)
        if self.x is None:
            self.x = torch.empty_like(x)
            self.timestep = torch.empty(x.shape[0], x.shape[2], device=x.device)
        self.x.copy_(x)
        return self.memory_.layers[0].video.filled


class Onward(State):
    """What a stream remembers in `before`; what it is to remember next goes to the tensors of `after`."""

    def __init__(self, before: State, after: State):
        super().__init__(before)
        self.after = after

    def __setitem__(self, layer: nn.Module, frames: Tensor) -> None:
        self.after[layer].copy_(frames)

    def room(self, layer: nn.Module) -> Tensor:
        return self.after[layer]

    def replace(self, layer: nn.Module, frames: Tensor) -> None:
        if frames is not self.after[layer]:
            self.after[layer].copy_(frames)


class Decoding:
    """A VAE's decoding of a stream that has begun, as programs for each number of latents.

    A program reads the state from one set of tensors and leaves the next state in another, the sets in turns.
    So nothing is moved, and of three sets two hold what the stream remembered one piece and two pieces ago: a
    block has two, and can be made again (1 GB a set at the published sizes).
    """

    def __init__(self, vae: VAE, sets: int = 3):
        self.decode = vae.decode.decode if isinstance(vae.decode, Decoding) else vae.decode
        self.pool = Pool(vae.conv2.weight.device)
        self.count = sets
        self.programs: dict[tuple[torch.Size, int], tuple[Tensor, Program]] = {}
        self.seat: Seat | None = None  # the set whose turn it is
        self.sets: list[State] = []
        self.turn = 0
        vae.decode = self

    def __call__(self, latents: Tensor, state: State | None = None) -> Tensor:
        """In place of `VAE.decode`."""
        if not state:
            return self.decode(latents, state)
        if self.seat is None or not self.seat.fits(state):
            self.programs.clear()
            self.sets = [State(state)]
            for _ in range(self.count - 1):
                self.sets.append(State((layer, torch.empty_like(t)) for layer, t in state.items()))
            self.seat = Seat(self.sets[0].tensors, host=True)
        self.bring(state)
        after = (self.turn + 1) % self.count
        key = latents.shape, self.turn
        if key not in self.programs:
            given, onward = latents.clone(), Onward(self.sets[self.turn], self.sets[after])
            self.programs[key] = given, Program(lambda: self.decode(given, onward), self.pool)
        given, program = self.programs[key]
        given.copy_(latents)
        video = program.run().clone()
        self._turn_to(after, state)
        return video

    def bring(self, state: State) -> None:
        """Let a stream's state take the seat; it can be asked for early, since coming from the host takes
        an H100 20 ms."""
        if self.seat is None or not state or not self.seat.fits(state):
            return
        own = self._set_of(state)
        if own is None:
            self.seat.take(state)
        else:
            self._turn_to(own, state)

    def holds(self, state: State) -> bool:
        """Whether a state is in the sets, where another stream's will overwrite it."""
        return self._set_of(state) is not None

    def _set_of(self, state: State) -> int | None:
        tensors = state.tensors
        same = (i for i, each in enumerate(self.sets) if tensors and each.tensors[0] is tensors[0])
        return next(same, None)

    def _turn_to(self, turn: int, state: State) -> None:
        self.turn = turn
        self.seat.tensors = self.sets[turn].tensors
        self.seat.adopt(state)


def leaves(value: Any) -> Iterator[Tensor]:
    """The tensors of nested dataclasses, in the order of their fields."""
    if isinstance(value, Tensor):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from leaves(getattr(value, field.name))


def clone(value: Any) -> Any:
    """A copy of nested dataclasses and their tensors."""
    if is_dataclass(value):
        return type(value)(**{field.name: clone(getattr(value, field.name)) for field in fields(value)})
    return value.clone() if isinstance(value, Tensor) else value
