"""A worker as an actor of Ray: the same loop and the same messages as in a process of our own, by calls.

This module does not know Ray: it is what runs on the other hosts.
"""

from __future__ import annotations

import logging
import os
import threading
import time

from mgdemo.worker.process import serve
from mgdemo.worker.threads import set_threads

BATCH_SECONDS = 0.01  # seconds between two answers, at least: what is said meanwhile travels together
CONFIRM_SECONDS = 2.0  # seconds that the worker waits, at most, until something has surely arrived
MOST_PENDING = 2**25  # bytes that wait to be fetched, after which the worker waits

log = logging.getLogger(__name__)


class WorkerActor:
    """Its process ends with the worker. `hear` and `events` are called by one thread each."""

    def __init__(self, threads: int):
        """threads: as `Settings.threads`; Ray has set the number if it is 0."""
        set_threads(os.environ, threads)
        commands, self._commands = os.pipe()
        self._news, self._fetched = threading.Condition(), 0.0
        self._events: list[bytes] = []  # that nobody has fetched yet
        self._size = 0  # bytes of those
        self._said = self._taken = self._arrived = 0  # events so far
        self._urgent = False
        threading.Thread(target=self._work, args=(commands,), name="worker", daemon=True).start()

    def hear(self, commands: bytes) -> None:
        """Take commands, one after the other, of which `Configure` is the first."""
        rest = memoryview(commands)
        while rest:
            rest = rest[os.write(self._commands, rest) :]

    def events(self) -> bytes:
        """Those that have not been fetched yet, one after the other; waits until there are some.

        The next call says that they have arrived.
        """
        with self._news:
            self._arrived = self._taken
            self._news.notify_all()
            gather = self._fetched + BATCH_SECONDS - time.monotonic()
            self._news.wait_for(lambda: self._urgent, max(0.0, gather))
            self._news.wait_for(lambda: self._events)
            data = b"".join(self._events)
            self._taken += len(self._events)
            self._events.clear()
            self._size, self._urgent, self._fetched = 0, False, time.monotonic()
            self._news.notify_all()
        return data

    def _work(self, commands: int) -> None:
        try:
            serve(os.fdopen(commands, "rb"), self._write)
        except Exception:
            log.exception("The worker could not start.")
        os._exit(1)

    def _write(self, event: bytes, sure: bool) -> None:
        with self._news:
            self._news.wait_for(lambda: self._size < MOST_PENDING)
            self._events.append(event)
            self._size += len(event)
            self._said += 1
            self._urgent |= sure
            self._news.notify_all()
            if sure:
                number = self._said
                self._news.wait_for(lambda: self._arrived >= number, CONFIRM_SECONDS)
