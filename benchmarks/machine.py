"""What a benchmark ran on."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
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


@contextlib.contextmanager
def starting_on(cores: set[int]) -> Iterator[None]:
    """What this thread starts meanwhile computes on these cores only (Linux); so does the thread itself."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def split_cores(number: int) -> tuple[set[int], set[int]]:
    """So many of the machine's cores, and the others. Ends the program where no others are."""
    known = sorted(os.sched_getaffinity(0))
    if not 0 < number < len(known):
        sys.exit(
            f"{number} of {len(known)} cores leave none for the browsers: give fewer, from 1 on, or none."
        )
    return set(known[:number]), set(known[number:])
