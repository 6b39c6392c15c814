"""The service: who may play and who waits, engines and their crashes, limits, health and metrics."""

from __future__ import annotations

import atexit
import logging
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from starlette.routing import BaseRoute

from mgdemo import __version__
from mgdemo import messages as m
from mgdemo.errors import UserError
from mgdemo.serving.keeping import prune
from mgdemo.serving.live import live_routes
from mgdemo.serving.local import LocalEngine
from mgdemo.serving.sessions import GRACE, PlayRequest, Session, duration
from mgdemo.settings import Settings

TICK = 0.25  # seconds between looks at the clock

log = logging.getLogger(__name__)


class ServingError(UserError):
    """A play that cannot begin; the message is for the visitor."""


class PlayService:
    """Lets visitors play, at most `settings.sessions` at once and the others in line, on a worker a device.

    Nothing is started before the first `open` or `warm`. Close it at the end; a normal exit does.
    """

    def __init__(self, settings: Settings | None = None, engine: Callable[..., LocalEngine] = LocalEngine):
        self.settings = settings or Settings.from_env()
        self.lock = threading.RLock()
        self.counts: Counter[str] = Counter()
        self._sessions: dict[str, Session] = {}
        self._line: deque[Session] = deque()
        self._playing: dict[Session, int] = {}  # and the engine of each
        devices = [name.strip() for name in self.settings.device.split(",")]
        self._engines = [
            engine(self.settings, name, partial(self._event, i), partial(self._crashed, i))
            for i, name in enumerate(devices)
        ]
        self._silence = [0.0] * len(devices)  # seconds for which each had work and nothing was heard of it
        self._to_save: queue.SimpleQueue[Session | None] = queue.SimpleQueue()
        self._saver: threading.Thread | None = None
        self._closed = threading.Event()
        atexit.register(self.close)

    @property
    def closing(self) -> bool:
        return self._closed.is_set()

    def open(self, request: PlayRequest) -> Session:
        """Get in line. Raises ServingError where that cannot be."""
        try:
            request.image.load()  # files are read late
        except (OSError, ValueError, SyntaxError) as error:
            raise ServingError(f"The start image cannot be read ({error}): choose another one.") from error
        if request.track is not None:
            if not len(request.track):
                raise ServingError("The scenario is empty: give it an action.")
            request = replace(request, track=request.track.padded())
        with self.lock:
            if self.closing:
                raise ServingError("The server is shutting down: try again in a minute.")
            if len(self._playing) >= self.settings.sessions and len(self._line) >= self.settings.queue:
                raise ServingError(
                    f"{len(self._line)} visitors are waiting already: try again in a few minutes."
                )
            session = Session(self, request)
            self._sessions[session.token] = session
            self._line.append(session)
            self.admit()
            if self._saver is None:
                self._saver = threading.Thread(target=self._save, name="save", daemon=True)
                self._saver.start()
                threading.Thread(target=self._tick, name="clock", daemon=True).start()
        return session

    def get(self, token: str) -> Session | None:
        return self._sessions.get(token)

    def warm(self, checkpoint: str) -> None:
        """Start the workers and load a checkpoint, so that the first visitor need not wait for it."""
        for engine in self._engines:
            engine.send(m.Warm(checkpoint=checkpoint))

    def routes(self) -> list[BaseRoute]:
        """Live WebSocket, health and metrics, to be added to the app's routes."""
        return live_routes(self)

    def health(self) -> dict:
        """How the service stands, in JSON types."""
        with self.lock:
            return {
                "status": "closing" if self.closing else "ok",
                "version": __version__,
                "plays": self.settings.sessions,
                "playing": len(self._playing),
                "queued": len(self._line),
                "workers": [{"device": e.device, "running": e.running} for e in self._engines],
            }

    def metrics(self) -> dict[str, int]:
        """Counts since the start (names ending in _total) and the present numbers."""
        names = ("plays", "ended", "errors", "crashes", "blocks", "remade_blocks", "frames", "late_blocks")
        with self.lock:
            totals = {f"{name}_total": self.counts[name] for name in names}
            return totals | {"playing": len(self._playing), "queued": len(self._line)}

    def close(self) -> None:
        """End all plays, keep their recordings, end the workers. Can be repeated."""
        with self.lock:
            if self.closing:
                return
            self._closed.set()
            for session in list(self._sessions.values()):
                session.end("ended", "The server was shut down; reload the page in a minute.")
        atexit.unregister(self.close)
        for engine in self._engines:
            engine.close()
        self._to_save.put(None)
        if self._saver is not None:
            self._saver.join(10)  # what is not finished then stays playable

    # For sessions, with the lock held

    def waiting(self, session: Session) -> tuple[int, float | None, str]:
        """A waiting session's place, seconds until its turn at the latest (if known), and the words."""
        index = self._line.index(session)
        limits = sorted(self._limits().values())
        text = f"You are number {index + 1} in line."
        if limits:
            text += f" A play ends in at most {duration(limits[0])}."
        return index + 1, limits[index] if index < len(limits) else None, text

    def limit(self, session: Session) -> float | None:
        """Seconds that a live play has left because others wait; None: as many as it likes."""
        return self._limits().get(session)

    def _limits(self) -> dict[Session, float]:
        """The oldest live plays, one for each who waits, have to end."""
        if not self.settings.session_seconds:
            return {}
        now, plays = time.monotonic(), sorted((s for s in self._playing if s.live), key=lambda s: s.began)
        return {
            play: max(0.0, max(play.began + self.settings.session_seconds, waiting.opened + GRACE) - now)
            for play, waiting in zip(plays, self._line, strict=False)
        }

    def left(self, session: Session) -> None:
        """A session has ended: its files are to be written, and the next one may begin."""
        self.counts.update(ended=1, errors=session.outcome[0] == "error")
        self._playing.pop(session, None)
        if session.keeper is not None:
            self._to_save.put(session)
        if session in self._line:
            self._line.remove(session)
        self.admit()

    @property
    def crowded(self) -> bool:
        """Whether somebody waits for a place."""
        return bool(self._line)

    def forget(self, session: Session) -> None:
        with self.lock:
            self._sessions.pop(session.token, None)

    def admit(self) -> None:
        """Give free places to who waits, and those of plays whose page is gone."""
        free = self.settings.sessions - len(self._playing)
        for gone in [session for session in self._playing if session.left][: max(0, len(self._line) - free)]:
            gone.end("ended", "Your line was lost while others waited. Press Start to play again.")
        while self._line and len(self._playing) < self.settings.sessions and not self.closing:
            session = self._line.popleft()
            loads = Counter(self._playing.values())
            index = min(range(len(self._engines)), key=lambda i: loads[i])
            self._playing[session] = index
            self.counts.update(plays=1)
            session.begin(self._engines[index])
        for session in self._line:
            session.moved()

    # From the engines' threads

    def _event(self, index: int, event: m.Event) -> None:
        with self.lock:
            if isinstance(event, m.Heartbeat):
                self._silence[index] = event.stuck_seconds
            elif isinstance(event, m.Loading):
                for session in self._sessions.values():
                    session.loading(event, self._engines[index])
            elif (session := self._sessions.get(event.session)) is not None:
                try:
                    session.handle(event)
                except Exception:
                    log.exception("A play failed in the web process.")
                    session.end("error", "The server made a mistake; see its log. Press Start to play again.")

    def _crashed(self, index: int, text: str) -> None:
        with self.lock:
            self.counts.update(crashes=1)
            for session in [s for s, engine in self._playing.items() if engine == index]:
                session.end("error", text)

    # Threads of its own

    def _tick(self) -> None:
        while not self._closed.wait(TICK):
            with self.lock:
                now = time.monotonic()
                for session in list(self._sessions.values()):
                    session.tick(now)
                for index in {self._playing[session] for session in self._playing if session.due}:
                    self._silence[index] += TICK
                    if 0 < self.settings.worker_timeout_seconds < self._silence[index]:
                        self._silence[index] = 0.0
                        self._engines[index].kill("nothing came from it for too long")

    def _save(self) -> None:
        """One recording at a time: the cores belong to the plays."""
        settings = self.settings
        while (session := self._to_save.get()) is not None:
            session.save()
            with self.lock:
                in_use = {s.keeper.folder for s in self._sessions.values() if s.keeper is not None}
            try:
                prune(settings.record_dir, settings.keep_sessions, settings.keep_megabytes, in_use)
            except OSError:
                log.exception("Old recordings could not be deleted.")
