"""A worker on a GPU that is lent for a while: what runs in the processes that ZeroGPU forks.

The package `spaces` forks such a process from the web process, iterates a generator in it, and looks between
two of its values whether it is to stop. A process may be used again for later leases: its checkpoints stay.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator

from mgdemo.worker.checkpoint_cache import CheckpointCache
from mgdemo.worker.link import Link
from mgdemo.worker.worker import Worker

POLL_SECONDS = 0.5  # seconds between two values, while no block takes longer
ORPHANED = 2.0  # seconds after which it is noticed, at most, that the web process is gone

_checkpoints: CheckpointCache | None = None  # that this process has loaded, or still loads, between leases
_watching = False

log = logging.getLogger(__name__)


def serve(address: str, seconds: float) -> Iterator[None]:
    """Work for the service that listens at a Unix socket until it hangs up, for so many seconds at most.

    The first value comes when the socket is connected. Raises OSError where it cannot be, and BadMessage.
    """
    global _checkpoints
    until = time.monotonic() + seconds
    _watch_parent()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        yield
        commands = connection.makefile("rb")
        worker: Worker | None = None

        def gone() -> None:
            if worker is not None:
                worker.stop()

        link = Link(commands, lambda data, sure: connection.sendall(data), gone)
        try:
            configure = link.configured()
            kept, _checkpoints = _checkpoints, None
            if kept is not None and not kept.fits(configure.settings, configure.device):
                kept = None
            worker = Worker(configure.settings, configure.device, link.emit, kept)
            link.attend(worker)
            yield from _work(worker, until)
        finally:
            link.close()
            if worker is not None:
                worker.checkpoints.detach()
                _checkpoints = worker.checkpoints
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # which also wakes the thread that reads


def _work(worker: Worker, until: float) -> Iterator[None]:
    yielded = time.monotonic()
    try:
        while (now := time.monotonic()) < until and worker.work(min(POLL_SECONDS, until - now)):
            if time.monotonic() - yielded >= POLL_SECONDS:
                yield
                yielded = time.monotonic()
    except Exception:
        log.exception("The worker gives up.")
        os._exit(1)  # where the device has failed, nothing works in this process any more


def _watch_parent() -> None:
    """End this process with the web process, which may have been killed."""
    global _watching
    if _watching:
        return
    _watching, parent = True, os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(ORPHANED)
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()
