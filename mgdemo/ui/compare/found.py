"""Grids as they stand on disk, the latest of them in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict

from mgdemo.compare.grids import Grids, ended_job
from mgdemo.compare.jobs import Job
from mgdemo.compare.store import RunStore

WHOLE = 20  # that are remembered with all that was measured
KEYS = 1000  # of which only the runs' keys are


class Found:
    """For any thread."""

    def __init__(self, grids: Grids, store: RunStore):
        self._grids, self._store = grids, store
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._keys: OrderedDict[str, frozenset[str]] = OrderedDict()  # which never change
        self._lock = threading.Lock()

    def job(self, id: str) -> Job | None:
        """A grid by its id."""
        with self._lock:
            job = self._jobs.get(id)
        if job is None and (grid := self._grids.get(id)) is not None:
            job = ended_job(grid, self._store)
            with self._lock:
                self._jobs[id] = job
                self._keys[id] = frozenset(run.key for run in grid.all)
                for found, most in ((self._jobs, WHOLE), (self._keys, KEYS)):
                    while len(found) > most:
                        found.popitem(last=False)
        return job

    def has(self, id: str, key: str) -> bool | None:
        """Whether a run is of a grid, where that is known without reading the grid; else None."""
        with self._lock:
            keys = self._keys.get(id)
        return key in keys if keys is not None and self._grids.used(id) else None

    def forget(self, id: str) -> None:
        """A grid is run again."""
        with self._lock:
            self._jobs.pop(id, None)
