"""The worker's process: commands at stdin, the first one `Configure`; events to stdout."""

from __future__ import annotations

import logging
import os
import signal
import sys
from typing import IO

from mgdemo.worker.link import Link, Write
from mgdemo.worker.worker import Worker

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


def serve(commands: IO[bytes], write: Write) -> None:
    """Be a worker, until this process ends: when the commands do, or when the worker gives up. See `Link`."""
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")

    def gone() -> None:
        os._exit(0)  # nobody is left to receive the blocks; there is nothing to save here

    link = Link(commands, write, gone)
    configure = link.configured()
    worker = Worker(configure.settings, configure.device, link.emit)
    link.attend(worker)
    try:
        worker.run()
    except Exception:
        log.exception("The worker gives up.")
        os._exit(1)  # without waiting for a checkpoint that is being loaded
