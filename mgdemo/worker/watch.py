"""Whether the worker makes progress: asked from another thread, even while a block hangs."""

from __future__ import annotations

import time
from collections.abc import Hashable


class Watch:
    """When each kind of work that is being done made progress last."""

    def __init__(self):
        self._since: dict[Hashable, float] = {}

    def progress(self, work: Hashable) -> None:
        """Something named so began, or is further."""
        self._since[work] = time.monotonic()

    def done(self, work: Hashable) -> None:
        self._since.pop(work, None)

    @property
    def stuck_seconds(self) -> float:
        """How long some work has made no progress; 0 without work."""
        return max((time.monotonic() - since for since in list(self._since.values())), default=0.0)
