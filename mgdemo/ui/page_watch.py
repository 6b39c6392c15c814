"""Whether the page itself still answers: Gradio works on so many events at once, and no more if all hang."""

from __future__ import annotations

import time

import gradio as gr

HANGING_SECONDS = 60.0  # no event of the page takes that long


class PageWatch:
    """Knows since when each job was seen, so health has to be asked for now and then."""

    def __init__(self, demo: gr.Blocks):
        self._demo = demo
        self._seen: dict[int, float] = {}

    def trouble(self) -> str:
        """What is wrong with the page, in a sentence; "" if nothing is."""
        now, slots = time.monotonic(), self._demo._queue.active_jobs  # all None before the page is served
        self._seen = {id(job): self._seen.get(id(job), now) for job in slots if job is not None}
        hanging = sum(now - since > HANGING_SECONDS for since in self._seen.values())
        if not slots or hanging < len(slots):
            return ""
        return f"The page does not answer: all of its {len(slots)} jobs hang. Restart it."
