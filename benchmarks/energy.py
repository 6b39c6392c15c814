"""What an NVIDIA GPU has used, by the counter in its driver (NVML)."""

from __future__ import annotations

import ctypes
from functools import cache

import torch


@cache
def _counter() -> tuple[ctypes.CDLL, ctypes.c_void_p] | None:
    """The driver's library, and its handle of the current GPU."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    handle = ctypes.c_void_p()
    identity = f"GPU-{torch.cuda.get_device_properties().uuid}".encode()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByUUID(identity, ctypes.byref(handle)):
        return None
    return nvml, handle


def joules(device: torch.device) -> float | None:
    """Since the driver was loaded, of all programs together; None where nothing counts (before Volta, or a
    CPU)."""
    if device.type != "cuda" or (found := _counter()) is None:
        return None
    nvml, handle = found
    millijoules = ctypes.c_ulonglong()
    torch.cuda.synchronize(device)
    if nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
        return None
    return millijoules.value / 1e3


class Energy:
    """What is used from its making on, as figures of so many frames."""

    def __init__(self, device: torch.device):
        self.device, self.before = device, joules(device)

    def per_frame(self, frames: int) -> dict[str, float]:
        """Nothing where nothing counts."""
        now = joules(self.device)
        if now is None or self.before is None:
            return {}
        return {"joules_per_frame": (now - self.before) / frames}
