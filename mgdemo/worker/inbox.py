"""The commands that a worker has heard and not yet obeyed."""

from __future__ import annotations

import math
import queue
import time
from collections.abc import Iterator

from mgdemo import messages as m
from mgdemo.worker.checkpoint_cache import Loaded

Instruction = m.Command | Loaded | None  # None: stop
Heard = tuple[float, Instruction]  # and when


class Inbox:
    """Filled from any thread, emptied by one."""

    def __init__(self):
        self._waiting: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._kept: Heard | None = None  # which would disturb a block in the making

    def put(self, instruction: Instruction) -> None:
        self._waiting.put((time.monotonic(), instruction))

    def all(self, seconds: float) -> Iterator[Heard]:
        """All that wait; if there are none, the next one that comes within so many seconds."""
        try:
            heard = self._kept or self._waiting.get(timeout=None if math.isinf(seconds) else seconds)
            self._kept = None
            while True:
                yield heard
                heard = self._waiting.get_nowait()
        except queue.Empty:
            pass

    def harmless(self) -> Iterator[Heard]:
        """Those that don't disturb blocks in the making, up to the first other one."""
        while self._kept is None and not self._waiting.empty():
            came, instruction = self._waiting.get()
            message = instruction.message if isinstance(instruction, m.ToSession) else None
            if isinstance(message, m.Input | m.Ack | m.KeyFrame):
                yield came, instruction
            else:
                self._kept = came, instruction

    @property
    def held_up(self) -> bool:
        """Whether something waits until no block is in the making."""
        return self._kept is not None
