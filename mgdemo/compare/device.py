"""The device of a server, as far as runs depend on it.

It is asked for in a process of its own, since the server does without PyTorch.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass

from mgdemo.devices import DeviceError

FP8 = (8, 9)  # the first compute capability that multiplies in 8 bits
PATIENCE = 120  # seconds
ASK = """
import json, sys
from mgdemo.devices import DeviceError, kind_of
try:
    kind, capability = kind_of(sys.argv[1]), None
    if not kind.startswith("cpu"):
        import torch
        capability = torch.cuda.get_device_capability(torch.device(sys.argv[2]))
    print(json.dumps({"kind": kind, "capability": capability}))
except DeviceError as error:
    print(json.dumps({"error": str(error)}))
"""


@dataclass(frozen=True)
class Device:
    """kind: as of `mgdemo.devices.kind_of`. fp8: whether it multiplies in 8 bits."""

    kind: str
    fp8: bool = False

    @property
    def gpu(self) -> bool:
        return not self.kind.startswith("cpu")


def device_of(wanted: str) -> Device:
    """The first device of a server; wanted: as in `Settings.device`. Takes seconds. Raises DeviceError."""
    first = wanted.split(",")[0].strip()
    command = [sys.executable, "-c", ASK, first, "cuda" if first == "auto" else first]
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
    capability = answer["capability"]
    return Device(answer["kind"], capability is not None and tuple(capability) >= FP8)
