"""Asynchronous copies between host and device, and events in a device's work."""

from __future__ import annotations

import time

import torch
from torch import Tensor


def to_uint8(video: Tensor) -> Tensor:
    """Video [1, 3, T, H, W] in [-1, 1] -> frames uint8 [T, H, W, 3], truncated like the reference."""
    pixels = ((video[0].float() + 1) * 127.5).clamp(0, 255).to(torch.uint8)
    return pixels.permute(1, 2, 3, 0).contiguous()


def to_device_async(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; the host does not wait for a copy."""
    pinned = tensor.pin_memory() if tensor.is_cpu and device.type == "cuda" else tensor
    return pinned.to(device, non_blocking=True)


def to_host_async(tensor: Tensor) -> Tensor:
    """A copy on the host; that of a GPU's tensor is pinned memory, and there once the stream gets to it."""
    if not tensor.is_cuda:
        return tensor.to("cpu", copy=True)
    return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)


class StreamEvent:
    """A point in the work of a device's current stream: on a CPU now, on a GPU when it gets there."""

    def __init__(self, device: torch.device):
        self.event = torch.cuda.Event(enable_timing=True) if device.type == "cuda" else None
        if self.event:
            self.event.record()
        self.time = time.perf_counter()

    def wait(self) -> None:
        if self.event:
            self.event.synchronize()

    def ms_until(self, later: StreamEvent) -> float:
        """Milliseconds to a later event, which has come."""
        if self.event and later.event:
            return self.event.elapsed_time(later.event)
        return 1e3 * (later.time - self.time)
