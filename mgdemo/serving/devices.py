"""The engines of a service, one per device, and which of them work."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial

from mgdemo import messages as m
from mgdemo.serving.engines import Engine, EngineFactory
from mgdemo.settings import Settings

PAUSE = 2.0  # seconds for which an engine is set aside; twice as long after each further failure
LONGEST_PAUSE = 300.0
CLOSE_SECONDS = 5.0  # that workers may take to end

log = logging.getLogger(__name__)


@dataclass
class Condition:
    """failures: in a row, without a block in between. until: set aside until then. reason: of the latest."""

    failures: int = 0
    until: float = 0.0
    reason: str = ""
    broken: str = ""  # what its worker has said of the device, as it ended

    def failed(self, reason: str, now: float) -> None:
        """Its worker is lost. One that just died is started again at once."""
        doublings = self.failures if self.broken else self.failures - 1
        self.failures += 1
        self.reason, self.broken = self.broken or reason, ""
        self.until = now if doublings < 0 else now + min(LONGEST_PAUSE, PAUSE * 2.0**doublings)


class Devices:
    """Engines by number; both functions are called with it, and from the engines' threads.

    An engine that fails again and again is set aside, each time for longer; a block that it makes ends that.
    """

    def __init__(
        self,
        settings: Settings,
        engine: EngineFactory,
        on_event: Callable[[int, m.Event], None],
        on_lost: Callable[[int, str], None],
    ):
        self._timeout = settings.worker_timeout_seconds
        self._engines = [
            engine(settings, device.strip(), partial(on_event, index), partial(on_lost, index))
            for index, device in enumerate(settings.device.split(","))
        ]
        self._conditions = [Condition() for _ in self._engines]
        self._have_loaded = False

    def __getitem__(self, index: int) -> Engine:
        return self._engines[index]

    def __len__(self) -> int:
        return len(self._engines)

    @property
    def working(self) -> list[int]:
        """Those that are not set aside."""
        now = time.monotonic()
        return [index for index, condition in enumerate(self._conditions) if condition.until <= now]

    def least_loaded(
        self, loads: Iterable[int], avoid: int | None = None, among: Collection[int] | None = None
    ) -> int | None:
        """The engine for the next session, if one is not set aside; loads: the engine of each session that
        runs; avoid: one that is only taken if there is no other; among: the only ones in question.
        """
        counts = Counter(loads)
        able = [index for index in self.working if among is None or index in among]
        return min(able, key=lambda index: (index == avoid, counts[index]), default=None)

    def works(self, index: int) -> None:
        """It has made a block."""
        if self._conditions[index].failures:
            self._conditions[index] = Condition()

    def broken(self, index: int, text: str) -> None:
        """Its worker says that the device itself fails, and is about to end."""
        self._conditions[index].broken = text

    def failed(self, index: int, reason: str) -> str:
        """Its worker is lost; the reason to give, in a sentence for visitors."""
        condition = self._conditions[index]
        condition.failed(reason, time.monotonic())
        if (pause := condition.until - time.monotonic()) > 0:
            log.error("Device %s is set aside for %.0f s.", self._engines[index].device, pause)
        return condition.reason

    def warm(self, checkpoint: str) -> None:
        for engine in self._engines:
            engine.send(m.Warm(checkpoint=checkpoint))

    def check(self) -> None:
        """End workers that are silent or stuck."""
        for engine in self._engines:
            if trouble := engine.health().trouble(self._timeout):
                engine.kill(trouble)

    @property
    def have_loaded(self) -> bool:
        """Whether an engine has a checkpoint in memory, or had one when this was asked before."""
        self._have_loaded |= any(engine.health().heartbeat.checkpoints for engine in self._engines)
        return self._have_loaded

    @property
    def status(self) -> str:
        """ "ok", "degraded" (some engine fails) or "failing" (all are set aside)."""
        now = time.monotonic()
        if all(condition.until > now for condition in self._conditions):
            return "failing"
        return "degraded" if any(condition.failures for condition in self._conditions) else "ok"

    def health(self) -> list[dict]:
        """Their state, in JSON types."""
        now, states = time.monotonic(), []
        for engine, condition in zip(self._engines, self._conditions, strict=True):
            health = engine.health()
            states.append(
                {
                    "device": health.device,
                    "running": health.running,
                    "silent_seconds": round(health.silent_seconds, 1),
                    "stuck_seconds": round(health.heartbeat.stuck_seconds, 1),
                    "memory_bytes": health.heartbeat.memory_bytes,
                    "checkpoints": health.heartbeat.checkpoints,
                    "trouble": health.trouble(self._timeout),
                    "failures": condition.failures,
                    "aside_seconds": round(max(0.0, condition.until - now), 1),
                    "reason": condition.reason,
                }
            )
        return states

    def close(self) -> None:
        closing = [threading.Thread(target=engine.close, daemon=True) for engine in self._engines]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(CLOSE_SECONDS)
