"""The engines of a service, one per device."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from mgdemo import messages as m
from mgdemo.serving.engines import Engine, EngineFactory
from mgdemo.settings import Settings


class Devices:
    """Engines by number; both functions are called with it, and from the engines' threads."""

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

    def __getitem__(self, index: int) -> Engine:
        return self._engines[index]

    def least_loaded(self, loads: Iterable[int]) -> int:
        """The engine for the next session; loads: the engine of each session that runs."""
        counts = Counter(loads)
        return min(range(len(self._engines)), key=lambda index: counts[index])

    def warm(self, checkpoint: str) -> None:
        for engine in self._engines:
            engine.send(m.Warm(checkpoint=checkpoint))

    def check(self) -> None:
        """End workers that are silent or stuck."""
        for engine in self._engines:
            if trouble := engine.health().trouble(self._timeout):
                engine.kill(trouble)

    def health(self) -> list[dict]:
        """Their state, in JSON types."""
        return [
            {
                "device": health.device,
                "running": health.running,
                "silent_seconds": round(health.silent_seconds, 1),
                "stuck_seconds": round(health.stuck_seconds, 1),
                "trouble": health.trouble(self._timeout),
            }
            for health in (engine.health() for engine in self._engines)
        ]

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
