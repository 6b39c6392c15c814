"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

from mgdemo.worker.threads import cores


def machine() -> dict:
    """Processor, cores, Python, and how busy the machine was (processes waiting, over the last minute)."""
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        cpu = found[1]
    load = round(os.getloadavg()[0], 2)
    return {"cpu": cpu, "cores": cores(), "python": platform.python_version(), "load": load}
