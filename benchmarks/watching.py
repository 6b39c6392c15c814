"""What processes use, from outside: memory, descriptors, threads, cores."""

from __future__ import annotations

import contextlib
import os
import threading
import time
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
            web, working = resident(self._pid), sum(map(resident, workers(self._pid)))
            everything = web + sum(map(resident, descendants(self._pid)))
            sizes = {"peak_mb": everything, "web_peak_mb": web, "workers_peak_mb": working}
            for name, now in sizes.items():
                self._peaks[name] = max(self._peaks[name], now // 10**6)


class Cores:
    """Watches who computes while the context lasts; `mean` says how many cores each took.

    web: the pid of the app. Beside it and its workers there are those of its processes that draw films, the
    scripts, which run in this process, and the browsers, its other children. `idle` is what nobody took,
    `others`: other programs, the kernel, and what the host of a virtual machine gave to somebody else.
    """

    def __init__(self, web: int):
        self._web, self._over = web, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._first: dict[int, tuple[str, float]] = {}  # by process: whose it is, and its seconds at first
        self._last: dict[int, float] = {}

    def __enter__(self) -> Cores:
        self._began, self._idle = time.monotonic(), _idle_seconds()
        self._look(new=False)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        took = time.monotonic() - self._began
        sums = dict.fromkeys(("web", "workers", "films", "scripts", "browsers"), 0.0)
        for pid, (group, before) in self._first.items():
            sums[group] += self._last[pid] - before
        sums["idle"] = _idle_seconds() - self._idle
        sums["others"] = max(0.0, took * (os.cpu_count() or 1) - sum(sums.values()))
        self.mean = {group: round(seconds / took, 2) for group, seconds in sums.items()}

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def _look(self, new: bool = True) -> None:
        """new: a process that was not seen before has begun since."""
        groups = {"web": [self._web], "workers": workers(self._web), "scripts": [os.getpid()]}
        groups["films"] = [pid for pid in descendants(self._web) if pid not in groups["workers"]]
        server = {self._web, *groups["workers"], *groups["films"]}
        groups["browsers"] = [pid for pid in descendants(os.getpid()) if pid not in server]
        for group, pids in groups.items():
            for pid in pids:
                with contextlib.suppress(OSError):
                    seconds = cpu_seconds(pid)
                    self._first.setdefault(pid, (group, 0.0 if new else seconds))
                    self._last[pid] = seconds


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
    """Process ids of a process's children."""
    found = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                found += [int(child) for child in (task / "children").read_text().split()]
    return found


def workers(pid: int) -> list[int]:
    """Those of its children that are workers; others draw films."""
    found = []
    for child in children(pid):
        with contextlib.suppress(OSError):
            if b"mgdemo.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(child)
    return found


def descendants(pid: int) -> list[int]:
    """Process ids of its children and of theirs."""
    return [each for child in children(pid) for each in (child, *descendants(child))]


def _idle_seconds() -> float:
    """For which cores of this machine had nothing to do so far, all together."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
