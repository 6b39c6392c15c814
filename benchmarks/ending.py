"""How a benchmark ends on SIGTERM: with everything that it has started."""

from __future__ import annotations

import signal
import sys


def end_by_sigterm() -> None:
    """SIGTERM ends this program as an error would: its app, its browser and its files do not stay behind."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
