"""A worker's end of its connection to the service: commands come in, events and heartbeats go out."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import IO

from mgdemo import logs
from mgdemo import messages as m
from mgdemo.worker.worker import Worker

HEARTBEAT = 1.0  # seconds

Write = Callable[[bytes, bool], None]

log = logging.getLogger(__name__)


class Link:
    """commands: where they are read. write: takes the bytes of an event, or raises OSError when nobody takes
    them any more; and whether it has to arrive even if the process dies next, as it may do of a block. gone:
    called, from any thread, when nobody is there any more.
    """

    def __init__(self, commands: IO[bytes], write: Write, gone: Callable[[], None]):
        self._commands, self._write, self._gone = commands, write, gone
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def configured(self) -> m.Configure:
        """What the service says first. Raises BadMessage and OSError."""
        configure = m.read(self._commands, m.Command)
        if not isinstance(configure, m.Configure):
            raise m.BadMessage("a worker has to be configured first")
        logs.configure(configure.settings.log)
        return configure

    def emit(self, event: m.Event) -> None:
        """May be called from any thread."""
        data = m.encode(event)
        try:
            with self._lock:
                self._write(data, isinstance(event, m.Begun | m.Broken))
        except OSError:
            self._end()

    def attend(self, worker: Worker) -> None:
        """From now on, tell a worker what comes, and the service that it lives."""
        for name, target in {"commands": self._listen, "heartbeat": self._beat}.items():
            threading.Thread(target=target, args=(worker,), name=name, daemon=True).start()

    def close(self) -> None:
        """No more heartbeats."""
        self._closed.set()

    def _listen(self, worker: Worker) -> None:
        try:
            while (command := m.read(self._commands, m.Command)) is not None:
                worker.hear(command)
        except Exception:  # a ValueError is of a stream that is closed
            if not self._closed.is_set():
                log.exception("The worker stops: its commands cannot be read.")
        self._end()

    def _beat(self, worker: Worker) -> None:
        while True:
            self.emit(worker.heartbeat())
            if self._closed.wait(HEARTBEAT):
                return

    def _end(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._gone()
