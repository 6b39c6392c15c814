"""The service: sessions in the queue and on their devices, engines and their crashes, health and metrics."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mgdemo import messages as m
from mgdemo.errors import WENT_WRONG, UserError
from mgdemo.logs import session_id
from mgdemo.serving.admission import Admission
from mgdemo.serving.archive import Archive
from mgdemo.serving.board import Board
from mgdemo.serving.clock import Clock
from mgdemo.serving.devices import Devices
from mgdemo.serving.disk import Item, Usage
from mgdemo.serving.engines import Fleet
from mgdemo.serving.engines.fleets import fleet_of
from mgdemo.serving.health import Health
from mgdemo.serving.lending import Lending
from mgdemo.serving.limits import CLOSING
from mgdemo.serving.metrics import Metrics
from mgdemo.serving.owners import Owners
from mgdemo.serving.phases import Ended, Playing, Saving
from mgdemo.serving.places import Places
from mgdemo.serving.request import SessionRequest
from mgdemo.serving.session import Session
from mgdemo.settings import Settings
from mgdemo.video.films import Recording

SAVING_SECONDS = 12  # that the end of the program waits for recordings

T = TypeVar("T")

log = logging.getLogger(__name__)


class ServingError(UserError):
    """A session that cannot begin; the message is for the visitor."""


class SessionService:
    """Runs visitors' sessions, at most `settings.sessions` at once, on the workers of a fleet; others wait.

    fleet: if None, the one that the settings ask for; raises UserError where it cannot be had. No worker is
    started before the first `open` or `warm`. Close it at the end; a normal exit does.
    """

    def __init__(self, settings: Settings | None = None, fleet: Fleet | None = None):
        self.settings = settings or Settings.from_env()
        self.lock = threading.RLock()
        self.counts = Metrics(lambda: self._health.families())
        self._sessions: dict[str, Session] = {}  # that have not ended, by token
        self._devices = Devices(self.settings, fleet or fleet_of(self.settings), self._event, self._lost)
        self._places = Places(self._devices)
        self._queue = Admission(self.settings, self._places, self._devices, self.counts)
        self.lending = Lending(self.settings, self.lock, self._queue, self.get, self._admit)
        self._archive = Archive(self.settings, self._folders)
        self.owners = Owners(self.settings.record_dir)
        self._clock = Clock(self._tick)
        self._closed = threading.Event()
        disk = Usage(self.settings.record_dir)
        parts = self.settings, self.lock, self._places, self._queue, self._devices, disk
        self._health = Health(*parts, closed=self._closed, stuck=lambda: self.stuck)
        self.board = Board(*parts, self._sessions, self.counts, self._health)
        atexit.register(self.close)

    def open(self, request: SessionRequest) -> Session:
        """Get in the queue. Raises ServingError where that is impossible.

        The session lives as long as its page is connected to `live/<token>`; a page that does not come within
        `connect_seconds`, or is away for `reconnect_seconds`, loses it. (See `SessionRequest.watched`.)
        """
        if request.track is not None:
            if not len(request.track):
                raise ServingError("The scenario is empty: give it an action.")
            request = replace(request, track=request.track.padded())
        request = replace(request, account=self.owners.name(request.account))
        with self.lock:
            if self._closed.is_set():
                self.counts.refused("closing")
                raise ServingError(CLOSING)
            if not request.background and (refusal := self._queue.refusal(request.account)):
                self.counts.refused(refusal.reason)
                raise ServingError(refusal.text)
            session = Session(self, request)
            self._sessions[session.token] = session
            self._queue.enter(session)
            self._admit()
            with contextlib.suppress(OSError):  # recorders report what is wrong with it
                self.settings.record_dir.mkdir(0o700, parents=True, exist_ok=True)
            self._archive.start()
            self._clock.start()
        return session

    @property
    def devices(self) -> int:
        """How many devices there are now, each with one worker."""
        return len(self._devices)

    def ask(self, work: Callable[[str], T], patience: float) -> T:
        """What a function says of the first device, called with its name on its host; see `Fleet`."""
        return self._devices.ask(work, patience)

    def get(self, token: str) -> Session | None:
        """The session of a token, until its files are written."""
        return self._sessions.get(token)

    def ended(self, token: str) -> Ended | None:
        """How an earlier session has ended."""
        return self._archive.get(token)

    def recording_of(self, token: str) -> Recording | None:
        """The recording of an earlier session, as long as it is kept on disk."""
        return (ended := self._archive.get(token)) and ended.recording

    def delete(self, token: str) -> None:
        """Delete the recording of an earlier session, and what was copied of it."""
        self._archive.delete(token)

    def resume(self, token: str, visitor: str = "") -> Session | None:
        """The session of a token, for a page that was loaded again; `visitor` as in the request."""
        if (session := self._sessions.get(token)) is not None and visitor:
            with self.lock:
                session.course.request = replace(session.request, visitor=visitor)
                self._queue.plan()
        return session

    def watch(self) -> None:
        """Look after the disk from now on, not only from the first session on."""
        self._archive.start()

    def share_disk(self, others: Callable[[], Iterable[Item]]) -> None:
        """Have other things share the room of recordings and uploads; `others` gives them, in a thread."""
        self._archive.others = others

    def warm(self, checkpoint: str) -> None:
        """Start the workers and load a checkpoint, so that the first visitor need not wait for it."""
        self._devices.warm(checkpoint)
        self._clock.start()  # which has it tried again

    def drain(self, on: bool) -> None:
        """Begin no new sessions and tell all pages, until that is undone. Those that play go on."""
        with self.lock:
            self._queue.draining = on
            self._admit()

    @property
    def draining(self) -> bool:
        return self._queue.draining

    def health(self) -> dict:
        """The state of the service, in JSON types."""
        return self._health.report()

    @property
    def stuck(self) -> bool:
        """Whether sessions are not looked after any more."""
        return self._clock.late

    @property
    def unready(self) -> str:
        """Why no visitor should be sent here now; "": all is well."""
        return self._health.unready

    def metrics(self) -> dict[str, float]:
        """Counts since the start (names ending in _total) and the present numbers."""
        return self.counts.values()

    def close(self) -> None:
        """End all sessions, keep their recordings, end the workers. Can be repeated."""
        with self.lock:
            if self._closed.is_set():
                return
            self._closed.set()
            self._clock.stop()
            for session in list(self._sessions.values()):
                session.end("ended", "The server was shut down; reload the page in a minute.")
        atexit.unregister(self.close)
        self._archive.close(SAVING_SECONDS)  # first, for the pages' sake: a worker may hang
        self._devices.close()

    def on_session_ended(self, session: Session) -> None:
        """See `Host`."""
        self._queue.leave(session)
        phase = session.phase
        assert isinstance(phase, Saving | Ended)
        if isinstance(phase, Saving):
            self._archive.save(session, self._forget)
        else:
            self._archive.add(session.token, phase)
            self._forget(session)
        self.counts.ended.inc()
        about = {"outcome": phase.outcome, "reason": phase.text, "frames": phase.frames}
        log.info("A session ended.", extra={"session": session_id(session.token), **about})
        if phase.outcome == "error":
            self.counts.errors.inc()
        self._admit()

    def _forget(self, session: Session) -> None:
        with self.lock:
            self._sessions.pop(session.token, None)

    def _admit(self) -> None:
        """Something has changed: see who gets a place now, and how the others wait."""
        if not self._closed.is_set():
            self._queue.admit()
        self._queue.plan()

    def _folders(self) -> Collection[Path]:
        """Those of recordings that are being made."""
        with self.lock:
            phases = [session.phase for session in self._sessions.values()]
        return {phase.recorder.folder for phase in phases if isinstance(phase, Playing | Saving)}

    # From the engines' threads

    def _event(self, index: int, event: m.Event) -> None:
        with self.lock:
            self._devices.heard(index, event)
            if isinstance(event, m.Left) and event.reason == "died":
                self.counts.crashes.labels(str(index), self._devices[index].device).inc()
            token = getattr(event, "session", None)  # else it concerns all of them
            named = [self._sessions.get(token)] if token else self._places.on(index)
            for session in named:
                if session is not None and self._places.engine_of(session) == index:
                    _guard(session, session.course.handle, event)

    def _lost(self, index: int, device: str, text: str) -> None:
        with self.lock:
            self.counts.crashes.labels(str(index), device).inc()
            self._places.lost(index, self._devices.failed(index, text))

    def _tick(self) -> None:
        with self.lock:
            for session in list(self._sessions.values()):
                _guard(session, session.tick, time.monotonic())
            self._places.settle()
            self._admit()
        self._devices.check()


def _guard(session: Session, do: Callable[[T], None], what: T) -> None:
    """Do something for a session; if that fails, it ends, and the others continue."""
    try:
        do(what)
    except Exception:
        log.exception("A session failed in the web process.", extra={"session": session_id(session.token)})
        session.end("error", f"{WENT_WRONG} Press Start to try again.")
