"""What the operator's page shows: sessions, queue, engines, refusals and the disk, in JSON types."""

from __future__ import annotations

import base64
import shutil
import threading
import time
from collections.abc import Mapping

from mgdemo import __version__
from mgdemo.logs import session_id
from mgdemo.serving.admission import Admission
from mgdemo.serving.devices import Devices
from mgdemo.serving.disk import Usage
from mgdemo.serving.health import Health
from mgdemo.serving.metrics import Metrics, state_of
from mgdemo.serving.phases import Queued
from mgdemo.serving.places import Places
from mgdemo.serving.playing import Playing
from mgdemo.serving.session import Session
from mgdemo.settings import Settings

ENDED = "The operator of this server has ended your session."


class Board:
    """Guards what it reads with the service's lock. Nothing in it tells who a visitor is."""

    def __init__(
        self,
        settings: Settings,
        lock: threading.RLock,
        places: Places,
        queue: Admission,
        devices: Devices,
        disk: Usage,
        sessions: Mapping[str, Session],
        counts: Metrics,
        health: Health,
    ):
        """sessions: those that have not ended, by token."""
        self._settings, self._lock, self._sessions = settings, lock, sessions
        self._places, self._queue, self._devices, self._disk = places, queue, devices, disk
        self._counts, self._health = counts, health

    def view(self) -> dict:
        """As it is now; looks at the disk once in a while, so it may take a moment."""
        with self._lock:
            sessions = sorted(self._sessions.values(), key=lambda session: session.opened)
            playing, queued, draining = len(self._places), len(self._queue), self._queue.draining
            engines = dict(self._places.engines)
        return {
            "version": __version__,
            "status": self._health.status,
            "draining": draining,
            "playing": playing,
            "places": self._devices.places,
            "queued": queued,
            "queue": self._settings.queue,
            "sessions": [_session(each, engines.get(each)) for each in sessions],
            "engines": [each | {"state": state_of(each)} for each in self._devices.health()],
            "refusals": self._counts.refused_so_far(),
            "disk": self._used(),
        }

    def end(self, id: str) -> bool:
        """End the session that is called so in `view`, with a sentence; whether there is one."""
        with self._lock:
            found = [session for token, session in self._sessions.items() if session_id(token) == id]
            for session in found:
                session.end("ended", ENDED)
        return bool(found)

    def _used(self) -> dict[str, int]:
        """Bytes; most: that all of it may take together; free: on that disk."""
        folder, sizes = self._settings.record_dir, self._disk.sizes()
        sizes["most"] = self._settings.keep_megabytes * 10**6
        if folder.exists():
            sizes["free"] = shutil.disk_usage(folder).free
        return sizes


def _session(session: Session, engine: int | None) -> dict:
    phase, status, now = session.phase, session.status(), time.monotonic()
    request, picture = session.request, session.picture()
    placed = now - session.course.began if engine is not None else None
    return {
        "id": session_id(session.token),
        "kind": "live" if session.live else "comparison" if request.background else "scenario",
        "checkpoint": request.checkpoint,
        "mode": phase.ready.mode if isinstance(phase, Playing) else "",
        "phase": status.phase,
        "text": status.text,
        "visitor": request.account[:6],
        "engine": engine,
        "position": phase.turn.position if isinstance(phase, Queued) else None,
        "seconds": round(now - session.opened),
        "placed_seconds": placed and round(placed),
        "frames": status.frames,
        "fps": status.fps and round(status.fps, 1),
        "connected": session.connected,
        "picture": base64.b64encode(picture).decode() if picture else "",
    }
