"""How the service is, in a word, in JSON types, and for Prometheus."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable

from prometheus_client.core import Metric

from mgdemo import __version__
from mgdemo.serving.admission import Admission
from mgdemo.serving.devices import Devices
from mgdemo.serving.disk import Usage
from mgdemo.serving.metrics import state_families
from mgdemo.serving.places import Places
from mgdemo.settings import Settings


class Health:
    """lock: the service's. stuck: returns whether sessions are not looked after any more."""

    def __init__(
        self,
        settings: Settings,
        lock: threading.RLock,
        places: Places,
        queue: Admission,
        devices: Devices,
        disk: Usage,
        *,
        closed: threading.Event,
        stuck: Callable[[], bool],
    ):
        self._settings, self._lock, self._closed, self._stuck = settings, lock, closed, stuck
        self._places, self._queue, self._devices, self._disk = places, queue, devices, disk

    @property
    def status(self) -> str:
        """ "ok", "degraded" (a device fails), "failing" (all do), "stuck" (sessions are not looked after),
        "draining" or "closing"."""
        if self._closed.is_set():
            return "closing"
        if self._stuck():
            return "stuck"
        return "draining" if self._queue.draining else self._devices.status

    @property
    def unready(self) -> str:
        """Why no visitor should be sent here now; "": all is well."""
        status = self.status
        if status not in ("ok", "degraded"):
            return status
        if not self._settings.warm or self._devices.have_loaded:
            return ""
        return "loading failed" if self._devices.cannot_load else "loading"

    def report(self) -> dict:
        """The state of the service, in JSON types."""
        playing, queued = self._counted()
        return {
            "status": self.status,
            "version": __version__,
            "sessions": self._settings.sessions,
            "playing": playing,
            "queued": queued,
            "workers": self._devices.health(),
        }

    def families(self) -> Iterable[Metric]:
        """For Prometheus; looks at the disk once in a while."""
        playing, queued = self._counted()
        places, workers = self._devices.places, self._devices.health()
        return state_families(playing, queued, places, workers, self._disk.sizes())

    def _counted(self) -> tuple[int, int]:
        with self._lock:
            return len(self._places), len(self._queue)
