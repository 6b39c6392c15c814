"""The device of a server or a command, as far as runs depend on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mgdemo.compare.plan import PlanError
from mgdemo.config import Optimization
from mgdemo.devices import DeviceError

FP8 = (8, 9)  # the first compute capability that multiplies in 8 bits
PATIENCE = 120  # seconds


@dataclass(frozen=True)
class Device:
    """kind: as of `mgdemo.devices.kind_of`. fp8: whether it multiplies in 8 bits. tflops: of a GPU, as of
    `mgdemo.devices.tflops_of`."""

    kind: str
    fp8: bool = False
    tflops: float | None = None

    @property
    def gpu(self) -> bool:
        return not self.kind.startswith("cpu")

    def check(self, optimization: str) -> None:
        """Raises PlanError for an optimization that makes no difference here, or cannot be: a column with its
        name would show something else. Raises ConfigError for words that are none."""
        wanted = Optimization.parse(optimization)
        if wanted.fp8 and not self.fp8:
            raise PlanError(
                f"FP8 needs an NVIDIA GPU with 8-bit floats, from the 40 series, L4 or H100 on; here is "
                f"{self.kind}."
            )
        if optimization and not self.gpu:
            raise PlanError(f"Optimizations are for NVIDIA GPUs; here is {self.kind}.")


def look(wanted: str) -> Device:
    """The first device of those in `wanted`, as in `Settings.device`; by PyTorch, in this process. Raises
    DeviceError."""
    from mgdemo.devices import kind_of, tflops_of

    first = wanted.split(",")[0].strip()
    kind = kind_of(first)
    if kind.startswith("cpu"):
        return Device(kind)
    import torch

    gpu = torch.device("cuda" if first == "auto" else first)
    return Device(kind, torch.cuda.get_device_capability(gpu) >= FP8, tflops_of(gpu))


def device_of(ask: Callable[[Callable[[str], Device], float], Device]) -> Device:
    """As `look`, where the device is. Takes seconds. ask: as of `SessionService`. Raises DeviceError."""
    try:
        return ask(look, PATIENCE)
    except OSError as error:
        raise DeviceError(
            "What checkpoints run on here cannot be found out; see the server's log."
        ) from error
