"""Whether the page itself still answers.

Gradio works on so many events at once, and of most kinds on fewer: no more if all of these hang.
"""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import gradio as gr

HANGING_SECONDS = 180.0  # no event of the page takes that long, but for those of these kinds
LEASE, SLOW_CALLS, DEVICE, BRANCHES = LASTING = ("lease", "programs, slow", "device", "branches")


class PageWatch:
    """Knows since when each event was seen, so health has to be asked for now and then."""

    def __init__(self, demo: gr.Blocks):
        self._demo = demo
        self._seen: dict[str, float] = {}

    def trouble(self) -> str:
        """What is wrong with the page, in a sentence; "" if nothing is."""
        queue: Any = self._demo._queue
        jobs = [job[0] for job in queue.active_jobs if job is not None]  # none before the page is served
        now = time.monotonic()
        self._seen = {job._id: self._seen.get(job._id, now) for job in jobs}
        brief = [job for job in jobs if job.concurrency_id not in LASTING]
        hanging = [job for job in brief if now - self._seen[job._id] > HANGING_SECONDS]
        if hanging and len(hanging) == len(brief) and None not in queue.active_jobs:
            return f"The page does not answer: all of its {len(jobs)} jobs hang. Restart it."
        for kind, number in Counter(job.concurrency_id for job in hanging).items():
            limit = queue.event_queue_per_concurrency_id[kind].concurrency_limit
            if limit is not None and number >= limit:
                name = next(job.fn.name for job in hanging if job.concurrency_id == kind)
                return f"The page does not answer: all {limit} jobs like {name} hang. Restart it."
        return ""
