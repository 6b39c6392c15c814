"""Ending a server gently: its sessions end, their pages are told, and their recordings are written."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable

TELLING_SECONDS = 1.0  # in which the pages hear of it
LOOK_SECONDS = 0.5  # between looks whether the server still runs


class StopSignal:
    """From its making on, SIGTERM and Ctrl-C only ask for the end; a second one ends the program at once.

    To be used in the main thread.
    """

    def __init__(self):
        self._stopped = threading.Event()
        self._before = {
            each: signal.signal(each, lambda *_: self._stop()) for each in (signal.SIGTERM, signal.SIGINT)
        }

    def serve(self, running: Callable[[], bool], close: Callable[[], None]) -> None:
        """Wait for a signal, or until the server no longer runs; then `close` the service, while the server
        still answers. Takes at most some 20 seconds from then on."""
        while running() and not self._stopped.wait(LOOK_SECONDS):
            pass
        if self._stopped.is_set():
            with contextlib.suppress(OSError):  # nobody may be left to read it
                print("Ending: recordings are being written.", flush=True)
        close()
        time.sleep(TELLING_SECONDS)

    def _stop(self) -> None:
        self._stopped.set()
        for each, handler in self._before.items():
            signal.signal(each, handler)
