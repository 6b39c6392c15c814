"""What pages have asked for and not read yet.

Gradio keeps the answers to a page's events until the page reads its stream. A script that never reads would
have the memory filled, so the gate asks here how many there are, and old ones are dropped.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import gradio as gr
from gradio.server_messages import EventMessage, ProcessCompletedMessage
from gradio.utils import LRUCache

UNREAD_SECONDS = 120.0  # without a look at what there is, after which it is dropped: that page is gone
SWEEP_SECONDS = 10.0  # between two looks for such pages


class Answers:
    """Of all pages of an app, between its `queue` and its `launch`. For the event loop only."""

    def __init__(self, demo: gr.Blocks):
        self._queue: Any = demo._queue
        self._queue.pending_messages_per_session = _Streams(self._queue.pending_messages_per_session.max_size)
        self._swept = time.monotonic()

    def events(self, page: str) -> int:
        """How many events of a page have no answer yet, or one that the page has not read."""
        now = time.monotonic()
        if now - self._swept > SWEEP_SECONDS:
            self._swept = now
            for name, stream in self._queue.pending_messages_per_session.items():
                if now - stream.looked > UNREAD_SECONDS and not stream.empty():
                    self._drop(name, stream)
        asked = self._queue.pending_event_ids_session.get(page, ())
        unfinished = {event for event in asked if event in self._queue.event_ids_to_events}
        stream = self._queue.pending_messages_per_session.get(page)
        return len(unfinished if stream is None else unfinished | stream.answered)

    def _drop(self, page: str, stream: _Stream) -> None:
        while not stream.empty():
            stream.get_nowait()
        asked = self._queue.pending_event_ids_session.get(page, set())
        asked.intersection_update(self._queue.event_ids_to_events)  # of those nothing is left to say


class _Stream(asyncio.Queue):
    """The messages for a page, which events are `answered` by them, and when it `looked` for one last."""

    def __init__(self):
        super().__init__()
        self.answered, self.looked = set[str | None](), time.monotonic()

    async def get(self) -> Any:
        self.looked = time.monotonic()
        return await super().get()

    def _put(self, item: EventMessage) -> None:
        super()._put(item)
        if isinstance(item, ProcessCompletedMessage):
            self.answered.add(item.event_id)

    def _get(self) -> EventMessage:
        item = super()._get()
        if isinstance(item, ProcessCompletedMessage):
            self.answered.discard(item.event_id)
        return item


class _Streams(LRUCache[str, asyncio.Queue]):
    """As Gradio's own, by page, for which it makes queues of its own."""

    def __setitem__(self, page: str, _queue: asyncio.Queue) -> None:
        super().__setitem__(page, _Stream())
