"""An engine whose worker is an actor of Ray, on any host of a cluster."""

from __future__ import annotations

import contextlib
import io
import logging
import queue
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from mgdemo import messages as m
from mgdemo.serving.engines import EngineHealth, OnEvent, OnLost, stopped
from mgdemo.serving.engines.hearing import Hearing
from mgdemo.serving.engines.ray_shares import Share, answers
from mgdemo.serving.engines.telling import encoded
from mgdemo.settings import Settings
from mgdemo.worker.actor import WorkerActor

START_SECONDS = 120.0  # that an actor may take to say something: others may have taken its place on the node
SILENT = 3.0  # seconds without a heartbeat, after which its host is asked whether it is there
LOOK = 1.0  # seconds between looks at whether it was ended, while nothing comes from it

log = logging.getLogger(__name__)


class RayEngine:
    """Carries commands to an actor on one share of a node, and its events back; see `Engine`."""

    def __init__(self, settings: Settings, share: Share, on_event: OnEvent, on_lost: OnLost):
        self.settings, self.device = settings, share.device
        self._share, self._on_event, self._on_lost = share, on_event, on_lost
        self._lock = threading.Lock()
        self._actor: _Actor | None = None
        self._closed = False

    def send(self, command: m.Command) -> None:
        with self._lock:
            if self._actor is None and isinstance(command, m.Open | m.Warm) and not self._closed:
                self._actor = _Actor(self._share, self.settings.threads, self._on_event, self._ended)
                self._actor.send(m.Configure(settings=self.settings, device=self._share.wanted))
            if self._actor is not None:
                self._actor.send(command)

    def health(self) -> EngineHealth:
        if (actor := self._actor) is None:
            return EngineHealth(self.device, False)
        return actor.hearing.health(self.device)

    def kill(self, reason: str) -> None:
        if (actor := self._actor) is not None:
            actor.end(reason)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            actor, self._actor = self._actor, None
        if actor is not None:
            actor.end("it was closed")
            actor.join()

    def _ended(self, actor: _Actor, reason: str) -> None:
        with self._lock:
            if self._actor is not actor:
                return  # closed on purpose
            self._actor = None
        log.error("The worker of %s stopped: %s.", self.device, reason)
        self._on_lost(stopped(reason))


class _Actor:
    """One actor, from its start to its end; then `ended` is called with a reason."""

    def __init__(self, share: Share, threads: int, on_event: OnEvent, ended: Callable[[_Actor, str], None]):
        self.hearing, self._on_event = Hearing(on_event), on_event
        self._share, self._threads, self._ended = share, threads, ended
        self._commands: queue.SimpleQueue[m.Command | None] = queue.SimpleQueue()
        self._end = ""  # why it is to end
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def send(self, command: m.Command) -> None:
        self._commands.put(command)

    def end(self, reason: str) -> None:
        """End it at once; never blocks."""
        self._end = self._end or reason
        self._commands.put(None)

    def join(self) -> None:
        self._thread.join(LOOK)

    def _run(self) -> None:
        import ray
        from ray.exceptions import RayError

        reason, actor = "it could not be started", None
        try:
            actor = self._start()
            threading.Thread(target=self._write, args=(actor,), name="engine-write", daemon=True).start()
            self._read(actor)
            reason = self._end
        except m.BadMessage as error:
            reason = f"it sent what cannot be read: {error}"
        except RayError as error:
            there = answers(self._share.address)
            reason = self._end or (_why(error) if there else "its host is gone")
        except Exception:
            log.exception("An engine on %s failed.", self._share.device)
        self.end(reason)
        if actor is not None:
            with contextlib.suppress(Exception):  # it is dead already, or so is Ray
                ray.kill(actor)
        self._ended(self, reason)

    def _start(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        # One thread for each group, so that commands are obeyed in order.
        groups: Any = {"concurrency_groups": {"commands": 1, "events": 1}}
        remote = ray.remote(**groups)(WorkerActor)
        return remote.options(
            num_gpus=self._share.gpus,
            num_cpus=self._share.cpus,
            max_restarts=0,
            scheduling_strategy=NodeAffinitySchedulingStrategy(self._share.key, soft=False),
        ).remote(self._threads)

    def _write(self, actor: Any) -> None:
        hear = actor.hear.options(concurrency_group="commands")
        while command := self._commands.get():
            data = encoded(command, self._on_event)
            with contextlib.suppress(queue.Empty):
                while another := self._commands.get_nowait():
                    data += encoded(another, self._on_event)
            try:
                hear.remote(data)
            except Exception:  # it is dead: its reader tells
                return
            if self._end:
                return

    def _read(self, actor: Any) -> None:
        import ray
        from ray.exceptions import GetTimeoutError

        fetch = actor.events.options(concurrency_group="events")
        began, started = time.monotonic(), False
        coming: Any = fetch.remote()
        while not self._end:
            try:
                data: Any = ray.get(coming, timeout=LOOK)
            except GetTimeoutError:
                if not started and time.monotonic() - began > START_SECONDS:
                    self.end("it did not start: there may be no room on its host")
                elif self.hearing.silent_seconds > SILENT and not answers(self._share.address):
                    self.end("its host is gone")  # Ray takes longer to notice
                continue
            started, coming = True, fetch.remote()
            self.hearing.read(io.BytesIO(data), enough=lambda: bool(self._end))


def _why(error: Exception) -> str:
    """Why an actor is gone, in a few words."""
    text = str(error).strip()
    if getattr(error, "actor_init_failed", False):
        return f"it could not be started: {text.splitlines()[-1].rstrip('.')[:200]}"
    if detail := re.search(r"Worker exit detail: (.+)", text):
        log.error("What Ray says: %s", detail[1])
    return "its process ended"
