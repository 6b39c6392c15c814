"""What a benchmark ran on."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from pathlib import Path

from mgdemo.worker.threads import cores


def machine() -> dict:
    """Processor, cores, Python, and how busy the machine was (processes waiting, over the last minute)."""
    cpu, info = platform.processor() or platform.machine(), Path("/proc/cpuinfo")
    if info.exists() and (found := re.search(r"model name\s*: (.*)", info.read_text())):
        cpu = found[1]
    load = round(os.getloadavg()[0], 2)
    return {"cpu": cpu, "cores": cores(), "python": platform.python_version(), "load": load}


def chromium_path() -> str:
    """Where Chromium is; the program ends where it is not."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not path:
        sys.exit("Chromium is needed: install it (apt-get install chromium) or set CHROMIUM to its path.")
    return path
