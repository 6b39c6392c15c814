"""What processes use, from outside: memory, descriptors, threads."""

from __future__ import annotations

import contextlib
import os
import threading
from dataclasses import astuple, dataclass
from pathlib import Path

PAGE = 4096
EVERY = 0.5  # seconds


class Memory:
    """Watches a process and its children while the context lasts; `peaks` says the most, in MB (10^6)."""

    def __init__(self, pid: int):
        self._pid, self._over = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._peaks = {"peak_mb": 0, "web_peak_mb": 0, "workers_peak_mb": 0}

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()

    def peaks(self) -> dict[str, int]:
        return dict(self._peaks)

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            web, workers = resident(self._pid), sum(map(resident, children(self._pid)))
            for name, now in {
                "peak_mb": web + workers,
                "web_peak_mb": web,
                "workers_peak_mb": workers,
            }.items():
                self._peaks[name] = max(self._peaks[name], now // 10**6)


@dataclass(frozen=True)
class Use:
    """What a process has at the moment, or several together."""

    mb: float = 0.0
    descriptors: int = 0
    threads: int = 0

    def __add__(self, other: Use) -> Use:
        return Use(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


def use(pid: int) -> Use:
    """Of one process."""
    place = Path(f"/proc/{pid}")
    descriptors, threads = (len(list((place / name).iterdir())) for name in ("fd", "task"))
    return Use(round(resident(pid) / 1e6, 1), descriptors, threads)


def resident(pid: int) -> int:
    """Bytes in memory; 0 for a process that is gone."""
    with contextlib.suppress(OSError, IndexError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return 0


def children(pid: int) -> list[int]:
    """Process ids of a process's children: of the app, its workers."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
