"""Ending a server gently: its sessions end, their pages are told, and their recordings are written."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from mgdemo import apart
from mgdemo.serving.watchdog import LOOK_SECONDS

END_SECONDS = 22.0  # from the signal on, after which the program ends, whatever still runs
TELLING_SECONDS = 1.0  # in which the pages hear of it
HUNG = 70  # the exit code of a server that cannot be helped

log = logging.getLogger(__name__)


class StopSignal:
    """From its making on, SIGTERM and Ctrl-C only ask for the end; a second one ends the program at once.

    To be used in the main thread.
    """

    def __init__(self):
        self._stopped = threading.Event()
        self._before = {
            each: signal.signal(each, lambda *_: self._stop()) for each in (signal.SIGTERM, signal.SIGINT)
        }

    def serve(
        self, running: Callable[[], bool], close: Callable[[], None], hung: Callable[[], str] = str
    ) -> None:
        """Wait for a signal, or until the server no longer runs; then `close` the service, while the server
        still answers. Then work in processes of its own is given up at once, and the program ends within
        `END_SECONDS`, whatever still runs in it.

        hung: says why the server cannot be helped any more, "" if it can; see `Watchdog`. Then it ends as
        well, with the exit code HUNG.
        """
        why = ""
        while not why and running() and not self._stopped.wait(LOOK_SECONDS):
            why = hung()
        if why:
            log.critical("%s The server ends, to be started again.", why)
        elif self._stopped.is_set():
            with contextlib.suppress(OSError):  # nobody may be left to read it
                print("Ending: recordings are being written.", flush=True)
        if why or self._stopped.is_set():
            code = HUNG if why else 0
            threading.Thread(target=_end_surely, args=(code,), name="end", daemon=True).start()
            apart.give_up()
        close()
        time.sleep(TELLING_SECONDS)
        if why:
            _leave(HUNG)

    def _stop(self) -> None:
        self._stopped.set()
        for each, handler in self._before.items():
            signal.signal(each, handler)


def _end_surely(code: int) -> None:
    """Python would wait for each thread of a pool: one may be measuring a film or reading a picture."""
    time.sleep(END_SECONDS)
    _leave(code)  # all that could be written and told is written and told


def _leave(code: int) -> None:
    """End the process without waiting for its threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
