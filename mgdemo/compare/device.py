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
    """kind, tflops: see `mgdemo.devices.describe`. fp8: whether it multiplies in 8 bits."""

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
    from mgdemo.devices import describe

    kind, capability, tflops = describe(wanted.split(",")[0].strip())
    return Device(kind, capability is not None and capability >= FP8, tflops)


def device_of(ask: Callable[[Callable[[str], Device], float], Device]) -> Device:
    """As `look`, where the device is. Takes seconds. ask: see `SessionService`. Raises DeviceError."""
    try:
        return ask(look, PATIENCE)
    except OSError as error:
        raise DeviceError(
            "What checkpoints run on here cannot be found out; see the server's log."
        ) from error
