"""A clock that goes on whatever happens at its ticks."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

TICK = 0.25  # seconds between looks at the clock
LATE = 10.0  # seconds without a tick, after which something is wrong

log = logging.getLogger(__name__)


class Clock:
    """Calls `tick` again and again in a thread of its own, until `stop`."""

    def __init__(self, tick: Callable[[], None]):
        self._tick = tick
        self._last = time.monotonic()
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin, or begin again if the thread is dead."""
        if self._thread is None or not self._thread.is_alive():
            self._last = time.monotonic()
            self._thread = threading.Thread(target=self._run, name="clock", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def late(self) -> bool:
        """Whether it should have ticked long ago."""
        return self._thread is not None and time.monotonic() - self._last > LATE

    def _run(self) -> None:
        while not self._stopped.wait(TICK):
            try:
                self._tick()
            except Exception:
                log.exception("A look at the clock failed.")
            self._last = time.monotonic()
