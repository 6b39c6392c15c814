"""Whether a server has hung for so long that only another process helps."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import uvicorn

LOOK_SECONDS = 0.5  # between looks
LATE = 10.0  # seconds without a turn of the event loop, after which something is wrong


class Watchdog:
    """Counts looks at which something was wrong, not seconds: on a busy machine, or after a pause of the
    whole process, the looks are as late as everything else.

    troubles: each says what hangs, in a sentence; "" if nothing does. patience: in seconds; 0: without end.
    """

    def __init__(self, troubles: Sequence[Callable[[], str]], patience: float):
        self._troubles, self._patience = troubles, patience
        self._looks = 0

    def look(self) -> str:
        """What hangs, if something did at every look for the time of its patience; else "". To be called
        every LOOK_SECONDS."""
        text = next(filter(None, (trouble() for trouble in self._troubles)), "")
        self._looks = self._looks + 1 if text else 0
        return text if 0 < self._patience <= self._looks * LOOK_SECONDS else ""


class Pulse:
    """Knows when the event loop of a running server has last turned."""

    def __init__(self, server: uvicorn.Server):
        self._last, tick = time.monotonic(), server.on_tick

        async def beat(counter: int) -> bool:
            self._last = time.monotonic()
            return await tick(counter)

        server.on_tick = beat  # which the server looks up ten times a second

    def trouble(self) -> str:
        return "The server answers nobody." if time.monotonic() - self._last > LATE else ""
