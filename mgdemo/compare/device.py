"""The device of a server or a command, as far as runs depend on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from mgdemo.compare.plan import PlanError
from mgdemo.config import Optimization
from mgdemo.devices import DeviceError

FP8 = (8, 9)  # the first compute capability that multiplies in 8 bits
PATIENCE = 120  # seconds
ASK = """
import json, sys
from mgdemo.compare.device import look
from mgdemo.devices import DeviceError
try:
    print(json.dumps(vars(look(sys.argv[1]))))
except DeviceError as error:
    print(json.dumps({"error": str(error)}))
"""


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


def device_of(wanted: str) -> Device:
    """As `look`, in a process of its own, since a server does without PyTorch. Takes seconds."""
    command = [sys.executable, "-c", ASK, wanted]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
        answer = json.loads(child.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, IndexError, ValueError) as error:
        raise DeviceError(
            "What this machine computes on cannot be found out; see the server's log."
        ) from error
    if "error" in answer:
        raise DeviceError(answer["error"])
    return Device(**answer)
