"""A visitor's run on the server, live or along a scenario, from the queue to its files."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from mgdemo import messages as m
from mgdemo.serving.engines import Engine
from mgdemo.serving.journal import Journaled, key_of
from mgdemo.serving.limits import Facts, Turn, ending
from mgdemo.serving.metrics import Metrics
from mgdemo.serving.outbox import Outbox, Wake
from mgdemo.serving.phases import Ended, Loading, Phase, Queued, Saving
from mgdemo.serving.player_link import PlayerLink
from mgdemo.serving.playing import Playing
from mgdemo.serving.recorder import Recorder
from mgdemo.serving.request import SessionRequest
from mgdemo.serving.status import status_of, suspended_status
from mgdemo.settings import Settings
from mgdemo.tree import START
from mgdemo.video.encode import thumbnail
from mgdemo.video.films import Recording

STRANDED = (
    "The device could not be restarted in time. Your recording is kept; press Start to begin another session."
)

log = logging.getLogger(__name__)


class Host(Protocol):
    """What a session needs of the service that it belongs to."""

    settings: Settings
    lock: threading.RLock  # guards all sessions; never held while something is computed or written
    counts: Metrics

    def on_session_ended(self, session: Session) -> None:
        """It has stopped playing. Called once, with the lock held. A `Saving` one wants its files written."""


class Session:
    """Made by `SessionService.open`.

    Methods may be called from any thread and any event loop; coroutines are woken in their own loop.
    """

    def __init__(self, host: Host, request: SessionRequest):
        self.token = secrets.token_urlsafe(24)
        self.request = request
        self.live = request.track is None
        self.opened = self.began = time.monotonic()  # began: when it got its place
        self.phase: Phase = Queued(Turn(1))
        self.engine: Engine | None = None  # from when it has a place
        self.ends = math.inf  # the moment when others get its place
        self.crowded = False  # whether others wait
        self.suspended = False  # it gave its place to a visitor
        self.report: m.Report | None = None  # of a scenario that is complete
        self._link = PlayerLink(self.live, self.opened)
        self._host, self._lock = host, host.lock
        self._wake = Wake()

    # For the page and other programs

    async def statuses(self) -> AsyncIterator[m.Status]:
        """How it stands: at every change and at least once a second; the last one is "ended" or "error"."""
        with self._wake.listen() as changed:
            while True:
                changed.clear()
                status = self.status()
                yield status
                if status.phase in ("ended", "error"):
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), 1.0)

    async def ended(self) -> Ended:
        """Wait for the end, and for its files."""
        with self._wake.listen() as changed:
            while not isinstance(self.phase, Ended):
                await changed.wait()
                changed.clear()
            return self.phase

    async def stop(self) -> Recording | None:
        """End it and wait for its recording; None if there is nothing to keep."""
        self.end("ended", "Stopped.")
        return (await self.ended()).recording

    def status(self) -> m.Status:
        with self._lock:
            if self.suspended and isinstance(self.phase, Loading | Playing):
                return suspended_status(self.phase)
            return status_of(self.phase, self.ends, time.monotonic())

    # For the live transport

    def attach(self, outbox: Outbox, codec: str) -> None:
        """A player is connected; its messages go to `outbox`. An earlier player is disconnected."""
        with self._lock:
            self._link.attach(outbox, codec)
            if isinstance(self.phase, Playing):
                self._welcome(self.phase)
        self._wake.set()

    def detach(self, outbox: Outbox) -> None:
        """The player is gone, unless another has taken its place."""
        with self._lock:
            if self._link.is_from(outbox):
                self._detach()

    def receive(self, outbox: Outbox, message: m.ClientMessage) -> None:
        """Handle a player's message. Raises BadMessage."""
        with self._lock:
            if not self._link.is_from(outbox):
                return
            match message:
                case m.Hello():
                    raise m.BadMessage("hello comes first, and once")
                case m.Stop():
                    self.end("ended", "Stopped.")
                case _:
                    if isinstance(message, m.Input):
                        self._link.input = message
                    if isinstance(self.phase, Playing) and self.phase.receive(message):
                        self._wake.set()

    def making(self, node: int) -> bool:
        """Whether a node is announced and its frames are on their way."""
        with self._lock:
            return isinstance(self.phase, Playing) and self.phase.making(node)

    def thumbnail(self, node: int) -> bytes | None:
        """A small JPEG of a node's last frame; that of the start is the start image."""
        with self._lock:
            if not isinstance(self.phase, Playing):
                return None
            pictures = self.phase.thumbnails
            if node in pictures or node != START:
                return pictures.get(node)
        picture = pictures[START] = thumbnail(np.asarray(self.request.start.picture))
        return picture

    def picture(self) -> bytes | None:
        """A small JPEG of the latest frame, as far as there is one."""
        with self._lock:
            pictures = self.phase.thumbnails if isinstance(self.phase, Playing) else {}
            return pictures[max(pictures)] if pictures else None

    # For the service; with the lock held

    @property
    def followed(self) -> bool:
        """Whether it needs a page."""
        return self.live or self.request.followed

    def wait(self, turn: Turn) -> None:
        """Its turn in the queue."""
        if self.suspended:
            return
        before = self.phase.turn if isinstance(self.phase, Queued) else None
        self.phase = Queued(turn)
        if before is None or replace(before, at=turn.at) != turn or abs(before.at - turn.at) > 1:
            self._wake.set()

    def limit(self, ends: float | None, *, crowded: bool) -> None:
        """The moment when others get its place, if there is one; crowded: whether anybody waits."""
        self.ends, self.crowded = math.inf if ends is None else ends, crowded

    def begin(self, engine: Engine) -> None:
        """It gets a place: its first one, or again after it gave way."""
        now = self.began = time.monotonic()
        if self.suspended and self.engine is not None:
            engine.send(m.Continue(session=self.token))
        elif isinstance(self.phase, Playing):  # its worker was lost meanwhile
            self.phase.worker.move = None  # it has not been waited for since then
            self.phase.lost(now)
            self.move(engine)
        else:
            self.phase = Loading()
            self.move(engine)
        self.suspended = False
        self._wake.set()

    def suspend(self) -> None:
        """Give its place to a visitor, keeping what is made so far; `begin` continues."""
        self.suspended = True
        if isinstance(self.phase, Playing):
            self.phase.rate.rest()
        if self.engine is not None:
            self.engine.send(m.Suspend(session=self.token))
        self._wake.set()

    def lost(self, reason: str, tries: int) -> None:
        """Its engine's worker is lost, so it waits for `move`. It ends if nothing was shown after so many
        tries, or if the session itself seems to be the reason."""
        self.engine = None
        match self.phase:
            case Playing() as phase if phase.lost(time.monotonic()):
                self.end("error", reason)
            case Loading() as phase if phase.tries >= tries:
                self.end("error", reason)
            case Loading() as phase:
                self.phase = Loading("The device is being restarted", tries=phase.tries + 1)
        self._wake.set()

    def move(self, engine: Engine) -> None:
        """It goes on, or begins, on an engine."""
        self.engine = engine
        match self.phase:
            case Playing() as phase:
                engine.send(self.request.order(self.token, phase.moved(engine.send)))
            case Loading():
                engine.send(self.request.order(self.token))

    def handle(self, event: m.Event) -> None:
        """Handle an event of its engine."""
        match self.phase, event:
            case Loading(), m.Loading(checkpoint=self.request.checkpoint, optimization=self._optimization):
                self.phase = replace(self.phase, text=event.text, progress=event.progress)
                self._wake.set()
            case Loading(), m.Ready():
                self._ready(event)
            case ((Loading() | Playing()), m.Failed()):
                self.end("error", event.text)
            case Playing() as phase, m.Ready():
                phase.ready_again()
            case Playing(), m.Finished(report=report):
                self.report = report
                self.end("ended", "The scenario is complete.")
            case Playing() as phase, _:
                if phase.handle(event):
                    self._wake.set()

    def tick(self, now: float) -> None:
        """End what has lasted too long."""
        settings = self._host.settings
        if now - self._link.unanswered_since > settings.ack_seconds:
            self._detach(m.CONNECTION_LOST, "No answer for too long; connect again.")
        if not self.suspended and isinstance(self.phase, Playing) and self.phase.worker.stranded(now):
            self.end("error", STRANDED)
        elif outcome := ending(self._facts(now), settings, now):
            self.end(*outcome)

    def end(self, outcome: m.Outcome, text: str) -> None:
        """End it, once: give its place away and have its files written. Takes the lock itself."""
        with self._lock:
            match self.phase:
                case Saving() | Ended():
                    return
                case Playing() as phase:
                    self.phase = Saving(outcome, text, phase.recorder, phase.tree.head, phase.frames)
                case _:
                    self.phase = Ended(outcome, text)
            if self.engine is not None:
                self.engine.send(m.Close(session=self.token))
            self._host.on_session_ended(self)
        self._wake.set()

    def settle(self, ended: Ended) -> None:
        """Its files are written."""
        with self._lock:
            self.phase = ended
        self._wake.set()

    @property
    def _optimization(self) -> str:
        wanted = self.request.optimization
        return self._host.settings.optimization if wanted is None else wanted

    def _ready(self, event: m.Ready) -> None:
        settings, name, engine = self._host.settings, self.request.checkpoint, self.engine
        assert engine is not None
        folder = self.request.folder or settings.record_dir
        journaled = None if self.request.folder else Journaled(key_of(self.token), self.request.about)
        recorder = Recorder(folder, name, event.width, event.height, event.fps, journaled)
        length = None if self.request.track is None else len(self.request.track)
        self.phase = Playing(event, engine.send, self._link, recorder, self._host.counts, length)
        if self._link.connected:
            self._welcome(self.phase)
        self._wake.set()

    def _welcome(self, phase: Playing) -> None:
        phase.attached(
            seed=self.request.seed,
            checkpoint=self.request.checkpoint,
            reconnect_seconds=self._host.settings.reconnect_seconds,
        )

    def _detach(self, code: int = 1000, reason: str = "") -> None:
        self._link.detach(time.monotonic(), code, reason)
        if isinstance(self.phase, Playing):
            self.phase.worker.detach()
        self._wake.set()

    def _facts(self, now: float) -> Facts:
        link, phase = self._link, self.phase
        facts = Facts(self.live, self.followed, link.away_since, link.met)
        if not isinstance(phase, Playing):
            return facts
        if link.holding:
            link.active = now
        return replace(
            facts,
            active=link.active,
            ends=self.ends,
            resting=phase.paused or phase.standing,
            crowded=self.crowded,
            seconds_recorded=phase.seconds_recorded,
        )
