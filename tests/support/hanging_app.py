"""`mgdemo app` in which one thing hangs as soon as the file HANG_AT is there: what HANG names."""

import os
import sys
import time
from pathlib import Path

from mgdemo.cli import main
from mgdemo.serving import SessionService, clock, shutdown, watchdog
from mgdemo.serving.session import Session
from mgdemo.ui.page_watch import PageWatch

HOUR = 3600.0
FILE = Path(os.environ["HANG_AT"])


def hanging(function):
    def hang(*arguments):
        if FILE.exists():
            time.sleep(HOUR)
        return function(*arguments)

    return hang


match os.environ["HANG"]:
    case "page":  # all of its jobs
        PageWatch.trouble = lambda self: "The page does not answer." if FILE.exists() else ""
    case "clock":  # with the lock of the service
        clock.LATE = 1.0
        shutdown.END_SECONDS = 5.0  # nothing can be saved any more
        Session.tick = hanging(Session.tick)
    case "loop":  # where it answers /readyz
        watchdog.LATE = 1.0
        SessionService.unready = property(hanging(SessionService.unready.fget))
sys.exit(main())
