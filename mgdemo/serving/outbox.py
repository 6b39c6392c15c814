"""Waking coroutines from threads, and the queue of one visitor's socket."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress

FRAMES = 256  # waiting for a slow connection; then frames are dropped, up to the next key frame


class Wake:
    """Tells coroutines of any event loop about a change made in any thread."""

    def __init__(self):
        self._lock = threading.Lock()
        self._listeners: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def set(self) -> None:
        with self._lock:
            for loop, event in self._listeners:
                with suppress(RuntimeError):  # a closed loop has nobody left to wake
                    loop.call_soon_threadsafe(event.set)

    @contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """An event of the running loop that every `set` sets, while the context lasts."""
        listener = (asyncio.get_running_loop(), asyncio.Event())
        with self._lock:
            self._listeners.add(listener)
        try:
            yield listener[1]
        finally:
            with self._lock:
                self._listeners.discard(listener)


class Outbox:
    """What waits to be sent over one socket. Filled by any thread, never blocking; emptied by `next`, in one
    coroutine.

    Frames come by the thousand a second, so a coroutine is only woken when it waits, not for each of them.
    """

    def __init__(self):
        self._items: deque[str | bytes] = deque()
        self._frames = 0
        self._dropping = True  # a decoder starts with a key frame
        self._lock = threading.Lock()
        self._waiting: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self.closed: tuple[int, str] | None = None  # WebSocket close code and reason

    def text(self, message: str) -> None:
        """Append a message. Messages are few, and the callers bound their number."""
        with self._lock:
            if self.closed is None:
                self._items.append(message)
                self._call()

    def frame(self, packet: bytes, key: bool) -> None:
        """Append a video frame. When too many wait, it is left out, and all up to the next key frame."""
        with self._lock:
            self._dropping = self._frames >= FRAMES or (self._dropping and not key)
            if not self._dropping and self.closed is None:
                self._items.append(packet)
                self._frames += 1
                self._call()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Accept nothing more; `next` ends after what waits, which is dropped unless the code is 1000."""
        with self._lock:
            if self.closed is None:
                self.closed = (code, reason)
                if code != 1000:
                    self._items.clear()
                self._call()

    async def next(self) -> str | bytes | None:
        """The next item to send; None when closed and empty."""
        while True:
            with self._lock:
                if self._items:
                    item = self._items.popleft()
                    self._frames -= isinstance(item, bytes)
                    return item
                if self.closed is not None:
                    return None
                news = asyncio.Event()
                self._waiting = asyncio.get_running_loop(), news
            await news.wait()

    def _call(self) -> None:
        """Wake the coroutine, if it waits."""
        if self._waiting is not None:
            (loop, news), self._waiting = self._waiting, None
            with suppress(RuntimeError):  # a closed loop has nobody left to wake
                loop.call_soon_threadsafe(news.set)
