"""Between host and device: copies that nobody waits for, and when a device gets to something."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn


def to_uint8(video: Tensor) -> Tensor:
    """Video [1, 3, T, H, W] in [-1, 1] -> frames uint8 [T, H, W, 3], truncated like the reference."""
    pixels = ((video[0].float() + 1) * 127.5).clamp(0, 255).to(torch.uint8)
    return pixels.permute(1, 2, 3, 0).contiguous()


def staged(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; nobody waits for the copy of one that is on the host."""
    pinned = tensor.pin_memory() if tensor.is_cpu and device.type == "cuda" else tensor
    return pinned.to(device, non_blocking=True)


def to_host(tensor: Tensor) -> Tensor:
    """A copy on the host; of a GPU's tensor in pinned memory, and nobody waits for it."""
    if not tensor.is_cuda:
        return tensor.to("cpu", copy=True)
    return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)


class Moment:
    """A moment in the work of a device's stream: now on a CPU, on a GPU when it gets there."""

    def __init__(self, device: torch.device):
        self.event = torch.cuda.Event(enable_timing=True) if device.type == "cuda" else None
        if self.event:
            self.event.record()
        self.time = time.perf_counter()

    def wait(self) -> None:
        if self.event:
            self.event.synchronize()

    def until(self, later: Moment) -> float:
        """Milliseconds to a later moment, which has come."""
        return self.event.elapsed_time(later.event) if self.event else 1e3 * (later.time - self.time)


class Piece:
    """Frames of a block. `make` sends a GPU for them and does not wait; elsewhere it takes its time."""

    def __init__(self, decode: Callable[[], Tensor], device: torch.device):
        self.decode: Callable[[], Tensor] | None = decode
        self.device = device
        self.begin: Moment | None = None
        self.end: Moment | None = None
        self.pixels: Tensor | None = None

    @torch.inference_mode()
    def make(self) -> None:
        """Once, however often it is called."""
        if self.end is None:
            self.begin = Moment(self.device)
            self.pixels = to_uint8(self.decode())
            if self.pixels.is_cuda:
                self.pixels = to_host(self.pixels)
            self.end, self.decode = Moment(self.device), None  # which knows the world

    def frames(self) -> np.ndarray:
        """uint8 [T, H, W, 3], as soon as they are there."""
        self.make()
        self.end.wait()
        return self.pixels.numpy()

    @property
    def ms(self) -> float:
        """How long making them took, when that is over."""
        return self.begin.until(self.end)


class OnDemand:
    """A net that waits on the host, and is on its device within a `with` statement."""

    def __init__(self, net: nn.Module):
        self.device = next(net.parameters()).device
        self.waiting = {p: p.data.cpu() for p in net.parameters()}
        self.__exit__()

    def __enter__(self) -> None:
        for parameter, data in self.waiting.items():
            parameter.data = data.to(self.device)

    def __exit__(self, *_: object) -> None:
        for parameter, data in self.waiting.items():
            parameter.data = data
