"""The worker's process: pickled settings, device and commands at stdin, pickled events to stdout."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import threading

from mgdemo.serving import messages as m
from mgdemo.worker.worker import Worker

log = logging.getLogger(__name__)


def main() -> None:
    """Exits when stdin closes, so that it never outlives its parent."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the web process decides
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not print into the events
    lock = threading.Lock()

    def emit(event: m.Event) -> None:
        data = pickle.dumps(event, pickle.HIGHEST_PROTOCOL)
        try:
            with lock:
                out.write(data)
                out.flush()
        except OSError:
            os._exit(0)

    def read() -> None:
        try:
            while True:
                worker.hear(pickle.load(sys.stdin.buffer))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)  # whoever wanted the blocks is gone; there is nothing to save here

    worker = Worker(*pickle.load(sys.stdin.buffer), emit)
    threading.Thread(target=read, name="commands", daemon=True).start()
    try:
        worker.run()
    except Exception:
        log.exception("The worker gives up.")
        os._exit(1)  # without waiting for a checkpoint that is being loaded
