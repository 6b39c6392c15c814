"""Where devices are only lent: who holds them, how long runs need them, and who rests meanwhile."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from contextvars import copy_context
from typing import cast

from mgdemo.serving.admission import Admission
from mgdemo.serving.engines.zerogpu import LeaseEngine
from mgdemo.serving.limits import duration
from mgdemo.serving.loan import run_seconds
from mgdemo.serving.session import Session
from mgdemo.settings import Settings

POLL_SECONDS = 0.5  # seconds between two looks at whether a lease is over


def _in_thread(lease: Iterator[None]) -> Iterator[None]:
    """Iterates a lease in a thread of its own, within this request. Closing it only says so to that thread:
    Gradio closes generators in its event loop, and a GPU takes a moment to be given back."""
    over, closed = threading.Event(), threading.Event()

    def iterate() -> None:
        with contextlib.closing(cast(Generator[None], lease)):
            for _ in lease:
                if closed.is_set():
                    break
        over.set()

    threading.Thread(target=copy_context().run, args=(iterate,), name="lease", daemon=True).start()
    try:
        while not over.wait(POLL_SECONDS):
            yield
    finally:
        closed.set()


class Lending:
    """A service's part in it. find: a session by its token; admit: called when a place may be free."""

    def __init__(
        self,
        settings: Settings,
        lock: threading.RLock,
        queue: Admission,
        find: Callable[[str], Session | None],
        admit: Callable[[], None],
    ):
        self._settings, self._lock, self._queue = settings, lock, queue
        self._find, self._admit = find, admit

    @property
    def at_once(self) -> int:
        """How many requests may hold a device, with those that are giving theirs back; 0: none is lent."""
        return 2 * self._settings.sessions if self._settings.leases else 0

    @property
    def note(self) -> str:
        """What a visitor reads before playing; "" where nothing is lent."""
        if not self._settings.leases:
            return ""
        lent = duration(self._settings.lease_seconds)
        return f"Start lends you a GPU for {lent}, as far as your quota goes; Go on lends it again."

    def hold(self, token: str) -> Iterator[None]:
        """Have the device that a session waits for while this is iterated.

        To be iterated within a Gradio request of its visitor, who is charged for it. Nothing is raised: the
        session's status says how it goes.
        """
        with self._lock:
            session = self._find(token)
            asked = session and session.course.ask(self._queue.slowest)
        if asked:
            engine, seconds = asked
            assert isinstance(engine, LeaseEngine), "only they lend"
            yield from _in_thread(engine.lease(token, seconds))

    def run_seconds(self, frames: int) -> int | None:
        """For about how many seconds a run would be lent a device, where devices are lent."""
        with self._lock:
            return run_seconds(frames, self._queue.slowest) if self._settings.leases else None

    # With the lock held

    def rests(self, session: Session) -> None:
        """It has given its place away until it goes on; a run that nobody follows does so by itself."""
        self._queue.rest(session)
        if session.request.unseen and session.course.go_on():
            self._queue.enter(session)
        self._admit()

    def goes_on(self, session: Session) -> None:
        """It wants a place again."""
        self._queue.enter(session)
        self._admit()
