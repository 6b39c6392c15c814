"""What an engine hears of its worker: events, and that it lives."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import IO

from mgdemo import messages as m
from mgdemo.serving.engines import NO_HEARTBEAT, EngineHealth, OnEvent

log = logging.getLogger(__name__)


class Hearing:
    """Of one worker, from its start on. Heartbeats are kept, all other events passed on."""

    def __init__(self, on_event: OnEvent):
        self._on_event = on_event
        self._heard, self._heartbeat = time.monotonic(), NO_HEARTBEAT

    @property
    def silent_seconds(self) -> float:
        """Since the last event, or the start."""
        return time.monotonic() - self._heard

    def health(self, device: str) -> EngineHealth:
        """Of a worker that runs on this device."""
        return EngineHealth(device, True, self.silent_seconds, self._heartbeat)

    def read(self, stream: IO[bytes], enough: Callable[[], bool] = lambda: False) -> None:
        """Hear a stream to its end, or until it is `enough`. Raises BadMessage and the errors of streams.

        An event that cannot be handled is logged, and the next one heard.
        """
        self._heard = time.monotonic()
        while (event := m.read(stream, m.Event)) is not None and not enough():
            self._heard = time.monotonic()
            if isinstance(event, m.Heartbeat):
                self._heartbeat = event
                continue
            try:
                self._on_event(event)
            except Exception:
                log.exception("An event of a worker could not be handled.")
