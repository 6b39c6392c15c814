"""CUDA graphs, and the memory at fixed addresses that they work on.

A pass launches a thousand kernels, more than a CPU can ask for in time. Captured as a CUDA graph it is one
launch, but it knows memory by its addresses: what it reads and writes must stay where it was. So a model has
static buffers, which its worlds share: one owner at a time has its values in them. Switching owners copies
values in and out, which costs an H100 about a millisecond a gigabyte. A single session never moves. Without a
GPU the same functions run, but are not captured.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from mgdemo.model.device_io import to_host_async

BACKENDS = [  # of attention, the fastest on an H100 first
    SDPBackend.CUDNN_ATTENTION,
    SDPBackend.FLASH_ATTENTION,
    SDPBackend.EFFICIENT_ATTENTION,
    SDPBackend.MATH,
]

Owner = TypeVar("Owner")
Result = TypeVar("Result")


class StaticBuffers(Generic[Owner]):
    """Tensors at addresses that graphs know, used by one owner at a time.

    An owner is anything that is made of tensors: `tensors_of` lists an owner's, and `bind` makes an owner use
    others of the same shapes instead. With `spill_to_host` the tensors of earlier owners wait on the host.
    """

    def __init__(
        self,
        tensors: list[Tensor],
        tensors_of: Callable[[Owner], list[Tensor]],
        bind: Callable[[Owner, list[Tensor]], None],
        *,
        spill_to_host: bool = False,
    ):
        self.tensors, self.spill_to_host = tensors, spill_to_host
        self._tensors_of, self._bind = tensors_of, bind
        self._owner: weakref.ref[Owner] | None = None
        # Copies to the host and from it don't slow each other down.
        apart = spill_to_host and tensors[0].is_cuda
        self._streams = [torch.cuda.Stream(tensors[0].device) for _ in range(2)] if apart else []

    @property
    def owner(self) -> Owner | None:
        return None if self._owner is None else self._owner()

    def fit(self, owner: Owner) -> bool:
        return [t.shape for t in self._tensors_of(owner)] == [t.shape for t in self.tensors]

    def load(self, owner: Owner) -> None:
        """Copy an owner's values in; those of the owner before move to tensors of its own."""
        before = self.owner
        if before is owner:
            return
        theirs, kept = self._tensors_of(owner)[::-1], []
        self.bind(owner)
        now = torch.cuda.current_stream(self._streams[0].device) if self._streams else None
        out, back = self._streams or (None, None)
        if now is not None:
            for stream in self._streams:
                stream.wait_stream(now)
        for mine in self.tensors:  # one after the other, so that the next one may use the memory of this one
            if before is not None:
                with torch.cuda.stream(out):
                    kept.append(to_host_async(mine) if self.spill_to_host else mine.clone())
            if back is not None and out is not None:
                back.wait_stream(out)
            with torch.cuda.stream(back):
                mine.copy_(theirs.pop(), non_blocking=True)
        if now is not None and back is not None:
            now.wait_stream(back)
        if before is not None:
            self._bind(before, kept)

    def bind(self, owner: Owner) -> None:
        """Let an owner use the buffers with the values that are in them."""
        self._bind(owner, self.tensors)
        self._owner = weakref.ref(owner)


class GraphPool:
    """Memory for graphs that never run at the same time."""

    def __init__(self, device: torch.device):
        self.device = device
        self.handle = torch.cuda.graph_pool_handle() if device.type == "cuda" else None
        self._stream: torch.cuda.Stream | None = None

    def capture_stream(self, current: torch.cuda.Stream) -> torch.cuda.Stream:
        """Always the same, since graphs of several streams would not share memory; of the priority of the
        one that the graphs run on."""
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device, priority=current.priority)
        return self._stream


class CapturedGraph(Generic[Result]):
    """A function without arguments that works on tensors at fixed addresses; captured on a GPU.

    What it returns is overwritten by the next graph of its pool.
    """

    def __init__(self, function: Callable[[], Result], pool: GraphPool):
        self.run = function
        if pool.device.type != "cuda":
            return
        current = torch.cuda.current_stream(pool.device)
        stream = pool.capture_stream(current)
        stream.wait_stream(current)
        with torch.cuda.stream(stream), sdpa_kernel(BACKENDS, set_priority=True):
            for _ in range(2):  # compiles, and lets libraries choose their kernels
                function()
        current.wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads may play other worlds meanwhile.
        capture = torch.cuda.graph(graph, pool.handle, stream, capture_error_mode="thread_local")
        with capture, sdpa_kernel(BACKENDS, set_priority=True):
            value = function()

        def replay() -> Result:
            graph.replay()
            return value

        self.run = replay
