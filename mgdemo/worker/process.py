"""The worker's process: commands at stdin, the first one `Configure`; events to stdout."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import IO

from mgdemo import logs
from mgdemo import messages as m
from mgdemo.worker.worker import Worker

HEARTBEAT = 1.0  # seconds

log = logging.getLogger(__name__)


def main() -> None:
    """Exits when stdin closes, so that it never outlives its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the web process decides
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not print into the events

    def write(data: bytes, sure: bool) -> None:  # a pipe keeps it, whatever happens to this process
        out.write(data)
        out.flush()

    serve(sys.stdin.buffer, write)


def serve(commands: IO[bytes], write: Callable[[bytes, bool], None]) -> None:
    """Be a worker, until this process ends: when the commands do, or when the worker gives up.

    write: takes the bytes of an event, or raises OSError when nobody takes them any more; and whether the
    event has to arrive even if the process dies next, as it may do of a block
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    lock = threading.Lock()

    def emit(event: m.Event) -> None:
        data = m.encode(event)
        try:
            with lock:
                write(data, isinstance(event, m.Begun | m.Broken))
        except OSError:
            os._exit(0)

    def listen() -> None:
        try:
            while (command := m.read(commands, m.Command)) is not None:
                worker.hear(command)
        except (m.BadMessage, OSError):
            log.exception("The worker stops: what came is no command.")
        os._exit(0)  # nobody is left to receive the blocks; there is nothing to save here

    def beat() -> None:
        while True:
            emit(worker.heartbeat())
            time.sleep(HEARTBEAT)

    configure = m.read(commands, m.Command)
    if not isinstance(configure, m.Configure):
        raise m.BadMessage("a worker has to be configured first")
    logs.configure(configure.settings.log)
    worker = Worker(configure.settings, configure.device, emit)
    for name, target in {"commands": listen, "heartbeat": beat}.items():
        threading.Thread(target=target, name=name, daemon=True).start()
    try:
        worker.run()
    except Exception:
        log.exception("The worker gives up.")
        os._exit(1)  # without waiting for a checkpoint that is being loaded
