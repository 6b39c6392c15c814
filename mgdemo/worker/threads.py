"""How many threads a worker computes with, and how they wait: variables for OpenMP, which reads them once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import MutableMapping
from pathlib import Path

# Threads that wait for each other spin so often before they sleep: as fast as spinning for long when each has
# a core to itself, and faster, sometimes by several times, when other programs want the cores.
SPIN_COUNT = "2000"


def set_threads(environment: MutableMapping[str, str], threads: int) -> None:
    """threads: 0 is one per core. What an operator has set already is left alone."""
    if threads or "OMP_NUM_THREADS" not in environment:
        environment["OMP_NUM_THREADS"] = str(threads or cores())
    if "OMP_WAIT_POLICY" not in environment:
        environment.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """CPU cores that this process may use: libraries count those of the whole machine."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):
        time, period = map(int, quota.read_text().split())  # "max 100000" without a limit: a ValueError
        available = min(available, max(1, time // period))
    return available
