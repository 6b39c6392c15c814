"""What the device of a worker is, and what it has used: memory and energy.

Energy comes from NVML, the library that nvidia-smi uses, which comes with the driver.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import sys
from functools import cache
from pathlib import Path

from mgdemo import __version__

PEAK = re.compile(r"VmHWM:\s*(\d+) kB")


class Meter:
    """What one device is and has used. PyTorch is looked at only if the worker's models have brought it."""

    def __init__(self, device: str):
        """device: as in `Settings.device`, one of them."""
        self._device = device

    @property
    def _gpu(self) -> int | None:
        cuda = getattr(sys.modules.get("torch"), "cuda", None)
        ready = getattr(cuda, "is_initialized", None)  # both are missing while PyTorch is being imported
        if self._device == "cpu" or ready is None or not ready():
            return None
        return int(self._device.partition(":")[2] or 0)

    def reset_peak(self) -> None:
        """Count the peak of memory from now on."""
        if (gpu := self._gpu) is not None:
            sys.modules["torch"].cuda.reset_peak_memory_stats(gpu)
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak becomes what is used now

    @property
    def used_bytes(self) -> int | None:
        """Memory at the moment: what PyTorch holds of the GPU, else what is resident of the process."""
        if (gpu := self._gpu) is not None:
            return int(sys.modules["torch"].cuda.memory_reserved(gpu))
        try:
            pages = Path("/proc/self/statm").read_text().split()[1]
        except OSError:
            return None
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    @property
    def peak_bytes(self) -> int | None:
        """The most memory since `reset_peak`: allocated on the GPU, else resident in the process."""
        if (gpu := self._gpu) is not None:
            return int(sys.modules["torch"].cuda.max_memory_allocated(gpu))
        try:
            found = PEAK.search(Path("/proc/self/status").read_text())
        except OSError:
            return None
        return int(found[1]) * 1024 if found else None

    @property
    def joules(self) -> float | None:
        """A counter of the GPU's energy; only differences mean something."""
        if (gpu := self._gpu) is None:
            return None
        uuid = str(sys.modules["torch"].cuda.get_device_properties(gpu).uuid)
        nvml, handle = _nvml(), ctypes.c_void_p()
        if nvml is None or nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode(), ctypes.byref(handle)):
            return None
        millijoules = ctypes.c_ulonglong()
        if nvml.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(millijoules)):
            return None
        return millijoules.value / 1000

    def versions(self) -> dict[str, str]:
        found = {"mgdemo": __version__, "python": platform.python_version()}
        if (torch := sys.modules.get("torch")) is not None:
            found["torch"] = str(torch.__version__)
        if self._gpu is not None and (nvml := _nvml()) is not None:
            text = ctypes.create_string_buffer(80)
            if not nvml.nvmlSystemGetDriverVersion(text, 80):
                found["driver"] = text.value.decode()
        return found

    def hardware(self) -> dict[str, str]:
        found = {"system": f"{platform.system()} {platform.release()}", "processor": _processor()}
        found["cores"] = str(os.cpu_count() or 0)
        if (gpu := self._gpu) is not None:
            found["gpu"] = str(sys.modules["torch"].cuda.get_device_name(gpu))
        return found


@cache
def _nvml() -> ctypes.CDLL | None:
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
        return None if nvml.nvmlInit_v2() else nvml
    except (OSError, AttributeError):
        return None


@cache
def _processor() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()
