"""Faster ways to the same results: kernels of our own, FP8 weights, captured programs.

The plain nets are what one reads; `optimise` puts another way of computing before a method of theirs. Each
part can be left out, and `python -m mgdemo parity --optimize DIR` holds the result to the reference's.

**Captured programs.** A pass launches a thousand kernels, more than a CPU can ask for in time. Captured as
a CUDA graph it is one launch, but it knows memory by its addresses: what it reads and writes must stay where
it was. So a model has one `Seat` of such tensors, in which plays take turns: who comes in brings its caches,
and who leaves takes them along, which costs an H100 about a millisecond a gigabyte. A single play never
moves. Without a GPU the same programs run, but are not captured.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from mgdemo.config import Optimization
from mgdemo.model.cache import Memory
from mgdemo.model.transformer import BlockInputs, Transformer
from mgdemo.model.vae import VAE, State

try:
    from mgdemo.model import fused
except ImportError:  # Triton comes with PyTorch for NVIDIA GPUs on Linux
    fused = None

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
    if options.fp8 and (not options.kernels or fused is None or device.type != "cuda"):
        raise ValueError("FP8 needs our own kernels, that is an NVIDIA GPU and Triton: leave fp8 out.")
    if options.fp8 and torch.cuda.get_device_capability(device) < (8, 9):
        raise ValueError("This GPU does not compute in FP8 (compute capability 8.9): leave fp8 out.")
    if options.kernels and device.type == "cuda":
        if fused is None:
            log.warning("Triton is not installed: without our own kernels the model plays slower.")
        else:
            if "through" not in vars(transformer):
                transformer.through = fused.Layers(transformer, options.fp8)
            if "decode" not in vars(vae) and fused.RowDecoder.fits(vae):
                vae.decode = fused.RowDecoder(vae)
    if options.graphs:
        Passes(transformer)
        Decoding(vae)


# Captured programs


class Seat:
    """Tensors at addresses that programs know. One tenant at a time has its own in them.

    A tenant has `tensors` and a method `place(tensors)` that puts others in their place.
    """

    def __init__(self, tensors: list[Tensor]):
        self.tensors = tensors
        self._holder: weakref.ref | None = None

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
        if holder is not None:
            holder.place([t.clone() for t in self.tensors])
        for mine, theirs in zip(self.tensors, tenant.tensors, strict=True):
            mine.copy_(theirs)
        self.adopt(tenant)

    def adopt(self, tenant: Any) -> None:
        """Let a tenant in whose tensors need not be brought."""
        tenant.place(self.tensors)
        self._holder = weakref.ref(tenant)


class Program:
    """A function without arguments that works on tensors at fixed addresses; captured on a GPU.

    What it returns is overwritten by the next program of its pool.
    """

    def __init__(self, function: Callable[[], Tensor | None], device: torch.device, pool: Any):
        self.run = function
        if device.type != "cuda":
            return
        now, side = torch.cuda.current_stream(device), torch.cuda.Stream(device)
        side.wait_stream(now)
        with torch.cuda.stream(side), sdpa_kernel(BACKENDS, set_priority=True):
            for _ in range(2):  # compiles, and lets libraries choose their kernels
                function()
        now.wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may play other worlds meanwhile.
        capture = torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local")
        with capture, sdpa_kernel(BACKENDS, set_priority=True):
            value = function()

        def replay() -> Tensor | None:
            graph.replay()
            return value

        self.run = replay


def pool_for(device: torch.device) -> Any:
    """Memory for programs that never run at the same time."""
    return torch.cuda.graph_pool_handle() if device.type == "cuda" else None


class Passes:
    """A transformer's passes as programs, one for each kind of step and number of frames remembered."""

    def __init__(self, transformer: Transformer):
        self.net = transformer
        self.pool = pool_for(transformer.device)
        self.programs: dict[tuple[str, int], Program] = {}
        self.seat: Seat | None = None
        self.memory_: Memory | None = None  # what the programs work on, in the seat's tensors
        self.given: BlockInputs | None = None  # likewise
        self.latest: BlockInputs | None = None  # what `given` is a copy of
        self.x: Tensor | None = None
        self.timestep: Tensor | None = None
        transformer.forward, transformer.remember, transformer.memory = self.step, self.clean, self.memory

    def memory(self, image_tokens: Tensor, height: int, width: int) -> Memory:
        """In place of `Transformer.memory`: that of the seat, if nobody has it."""
        free = self.seat is not None and self.seat.holder is None and self.x.shape[3:] == (height, width)
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
        self._prepare(x, inputs, memory)
        self.timestep.copy_(timestep)
        return self._run(
            "step", lambda: Transformer.forward(self.net, self.x, self.timestep, self.given, self.memory_)
        ).clone()

    def clean(self, x: Tensor, inputs: BlockInputs, memory: Memory) -> None:
        """In place of `Transformer.remember`."""
        self._prepare(x, inputs, memory)
        self._run("clean", lambda: Transformer.remember(self.net, self.x, self.given, self.memory_))

    def _run(self, kind: str, function: Callable[[], Tensor | None]) -> Tensor | None:
        key = kind, self.memory_.layers[0].video.filled
        if key not in self.programs:
            self.programs[key] = Program(function, self.net.device, self.pool)
        return self.programs[key].run()

    def _prepare(self, x: Tensor, inputs: BlockInputs, memory: Memory) -> None:
        """Put everything where the programs look for it; other sizes ask for other programs."""
        if self.seat is None or not self.seat.fits(memory):
            self.programs.clear()
            self.seat, self.memory_ = Seat(memory.tensors), memory.twin()
            self.seat.adopt(memory)
        self.seat.take(memory)
        if self.memory_.position != memory.position:
            self.memory_.begin_block(*memory.position)
        if inputs is not self.latest:
            new = list(leaves(inputs))
            if self.given is None or [t.shape for t in new] != [t.shape for t in leaves(self.given)]:
                self.programs.clear()
                self.given, self.x = clone(inputs), x.clone()
                self.timestep = torch.zeros(x.shape[0], x.shape[2], device=x.device)
            for mine, theirs in zip(leaves(self.given), new, strict=True):
                mine.copy_(theirs)
            self.latest = inputs
        self.x.copy_(x)


class Decoding:
    """A VAE's decoding of a stream that has begun, as a program for each number of latents."""

    def __init__(self, vae: VAE):
        self.decode = vae.decode.decode if isinstance(vae.decode, Decoding) else vae.decode
        self.pool = pool_for(vae.conv2.weight.device)
        self.programs: dict[torch.Size, tuple[Tensor, Program]] = {}
        self.seat: Seat | None = None
        self.state: State | None = None  # what the programs work on
        vae.decode = self

    def __call__(self, latents: Tensor, state: State | None = None) -> Tensor:
        """In place of `VAE.decode`."""
        if not state:
            return self.decode(latents, state)
        if self.seat is None or not self.seat.fits(state):
            self.programs.clear()
            self.seat, self.state = Seat(state.tensors), State(state)
            self.state.in_place = True
            self.seat.adopt(state)
        self.seat.take(state)
        if latents.shape not in self.programs:
            given, kept = latents.clone(), self.state.fork()
            program = Program(lambda: self.decode(given, self.state), latents.device, self.pool)
            for layer, frames in kept.items():
                self.state[layer] = frames  # as it was before trying
            self.programs[latents.shape] = given, program
        given, program = self.programs[latents.shape]
        given.copy_(latents)
        return program.run().clone()


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
