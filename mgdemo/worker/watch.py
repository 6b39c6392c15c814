"""Whether the worker makes progress: asked from another thread, even while a block hangs."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass


@dataclass
class _Work:
    began: float
    progress: float  # when there was some last
    limit: float


class Watch:
    """When each kind of work that is being done began, and when it made progress last."""

    def __init__(self):
        self._works: dict[object, _Work] = {}

    def progress(self, work: object, limit: float = math.inf) -> None:
        """`work` has begun or progressed. After `limit` seconds progress no longer counts."""
        now = time.monotonic()
        self._works.setdefault(work, _Work(now, now, limit)).progress = now

    def done(self, work: object) -> None:
        self._works.pop(work, None)

    @property
    def stuck_seconds(self) -> float:
        """How long some work has made no progress, or has lasted if that is too long; 0 without work."""
        now = time.monotonic()
        return max((_stuck(work, now) for work in list(self._works.values())), default=0.0)


def _stuck(work: _Work, now: float) -> float:
    age = now - work.began
    return age if age > work.limit else now - work.progress
