"""The worker's process: commands at stdin, the first one `Configure`; events to stdout."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

from mgdemo import logs
from mgdemo import messages as m
from mgdemo.worker.worker import Worker

HEARTBEAT = 1.0  # seconds

log = logging.getLogger(__name__)


def main() -> None:
    """Exits when stdin closes, so that it never outlives its parent."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the web process decides
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not print into the events
    lock = threading.Lock()

    def emit(event: m.Event) -> None:
        data = m.encode(event)
        try:
            with lock:
                out.write(data)
                out.flush()
        except OSError:
            os._exit(0)

    def listen() -> None:
        try:
            while (command := m.read(sys.stdin.buffer, m.Command)) is not None:
                worker.hear(command)
        except (m.BadMessage, OSError):
            log.exception("The worker stops: what came is no command.")
        os._exit(0)  # nobody is left to receive the blocks; there is nothing to save here

    def beat() -> None:
        while True:
            emit(worker.heartbeat())
            time.sleep(HEARTBEAT)

    configure = m.read(sys.stdin.buffer, m.Command)
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
