"""The part `environment`: the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from importlib.util import find_spec

import torch

from benchmarks import roofline
from benchmarks.gpu.bench import Bench


def environment(bench: Bench) -> dict:
    cuda = bench.device.type == "cuda"
    found = {"python": platform.python_version(), "torch": torch.__version__, "cores": os.cpu_count()}
    found["flash_attn"] = find_spec("flash_attn") is not None
    if cuda:
        found |= {"gpu": torch.cuda.get_device_name(), "cuda": torch.version.cuda}
        found["cudnn"] = torch.backends.cudnn.version()
    if cuda and shutil.which("nvidia-smi"):
        query = "--query-gpu=driver_version,power.limit,clocks.max.sm"
        asked = subprocess.run(["nvidia-smi", query, "--format=csv,noheader"], capture_output=True, text=True)
        found["driver_power_clock"] = asked.stdout.strip()
    source, target = (torch.randn(2**28 if cuda else 2**24, device=bench.device) for _ in range(2))
    ms = roofline.timed([lambda: target.copy_(source)], bench.device)
    return found | {"copy_gb_per_s": 2 * source.nbytes / 1e6 / ms}
