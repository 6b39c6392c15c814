"""Ending a server gently: its sessions end, their pages are told, and their recordings are written."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

TELLING_SECONDS = 1.0  # in which the pages hear of it
LOOK_SECONDS = 0.5  # between looks whether the server still runs


def serve_until_stopped(running: Callable[[], bool], close: Callable[[], None]) -> None:
    """Wait for SIGTERM or Ctrl-C, or until the server no longer runs; then close the service, by `close`.

    No new sessions begin from then on. Takes at most some 20 seconds; a second signal ends the program at
    once. To be called from the main thread.
    """
    stopped = threading.Event()
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {each: signal.signal(each, lambda *_: stopped.set()) for each in signals}
    while running() and not stopped.wait(LOOK_SECONDS):
        pass
    for each in signals:
        signal.signal(each, before[each])
    if stopped.is_set():
        print("Ending: recordings are being written.", flush=True)
    close()
    time.sleep(TELLING_SECONDS)
