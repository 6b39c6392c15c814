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
from mgdemo.serving.course import Course, Hooks
from mgdemo.serving.limits import Facts, ending
from mgdemo.serving.metrics import Metrics
from mgdemo.serving.outbox import Outbox, Wake
from mgdemo.serving.phases import Ended, Loading, Phase
from mgdemo.serving.player_link import PlayerLink
from mgdemo.serving.playing import Playing
from mgdemo.serving.request import SessionRequest
from mgdemo.serving.status import RESTARTING, status_of, suspended_status
from mgdemo.settings import Settings
from mgdemo.tree import START
from mgdemo.video.encode import thumbnail
from mgdemo.video.films import Recording

STRANDED = (
    "The device could not be restarted in time. Your recording is kept; press Start to begin another session."
)

log = logging.getLogger(__name__)


class Lender(Protocol):
    """What a session needs where devices are lent; both with the lock held."""

    def rests(self, session: Session) -> None:
        """It has given its place away until it goes on."""

    def goes_on(self, session: Session) -> None:
        """It wants a place again."""


class Host(Protocol):
    """What a session needs of the service that it belongs to."""

    settings: Settings
    lock: threading.RLock  # guards all sessions; never held while something is computed or written
    counts: Metrics

    @property
    def lending(self) -> Lender: ...

    def on_session_ended(self, session: Session) -> None:
        """It has stopped playing. Called once, with the lock held. A `Saving` one wants its files written."""


class Session:
    """Made by `SessionService.open`.

    Methods may be called from any thread and any event loop; coroutines are woken in their own loop.
    """

    def __init__(self, host: Host, request: SessionRequest):
        self.token = secrets.token_urlsafe(24)
        self.live = request.track is None
        self.opened = time.monotonic()
        self._link, self._wake = PlayerLink(self.live, self.opened), Wake()
        self.course = Course(
            self.token,
            request,
            self._link,
            host.settings,
            host.counts,
            Hooks(
                changed=self._wake.set,
                left=lambda: host.on_session_ended(self),
                rests=lambda: host.lending.rests(self),
            ),
        )
        self._host, self._lock = host, host.lock

    @property
    def request(self) -> SessionRequest:
        return self.course.request

    @property
    def phase(self) -> Phase:
        return self.course.phase

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
            phase, course = self.phase, self.course
            if course.suspended and isinstance(phase, Loading | Playing):
                return suspended_status(phase)
            status = status_of(phase, course.ends, now := time.monotonic())
            if not isinstance(phase, Loading | Playing):
                return status
            if course.loan is not None:
                status = course.loan.status(now, status)
            return status.model_copy(update={"outlook": RESTARTING}) if course.draining else status

    # For the live transport

    def attach(self, outbox: Outbox, codec: str) -> None:
        """A player is connected; its messages go to `outbox`. An earlier player is disconnected."""
        with self._lock:
            self._link.attach(outbox, codec)
            self.course.welcome()
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
                case m.GoOn():
                    if self.course.go_on():
                        self._host.lending.goes_on(self)
                case _:
                    if isinstance(message, m.Input):
                        self._link.input = message
                    if isinstance(self.phase, Playing) and self.phase.receive(message):
                        self._wake.set()

    @property
    def connected(self) -> bool:
        """Whether a player is."""
        return self._link.connected

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
    def watched(self) -> bool:
        """Whether it needs a page."""
        return self.live or self.request.watched

    def tick(self, now: float) -> None:
        """End what has lasted too long."""
        settings = self._host.settings
        if now - self._link.unanswered_since > settings.ack_seconds:
            self._detach(m.CONNECTION_LOST, "No answer for too long; connect again.")
        self.course.tick(now)
        waits = self.course.suspended or (self.course.engine is None and self.course.loan is not None)
        if not waits and isinstance(self.phase, Playing) and self.phase.worker.stranded(now):
            self.end("error", STRANDED)
        elif outcome := ending(self._facts(now), settings, now):
            self.end(*outcome)

    def end(self, outcome: m.Outcome, text: str) -> None:
        """End it, once: give its place away and have its files written. Takes the lock itself."""
        with self._lock:
            self.course.end(outcome, text)

    def settle(self, ended: Ended) -> None:
        """Its files are written."""
        with self._lock:
            self.course.phase = ended
        self._wake.set()

    def _detach(self, code: int = 1000, reason: str = "") -> None:
        self._link.detach(time.monotonic(), code, reason)
        if isinstance(self.phase, Playing):
            self.phase.worker.detach()
        self._wake.set()

    def _facts(self, now: float) -> Facts:
        link, phase = self._link, self.phase
        facts = Facts(self.live, self.watched, link.away_since, link.met)
        if isinstance(phase, Loading):
            return replace(facts, loading_since=phase.began, ends=self.course.ends)
        if not isinstance(phase, Playing):
            return facts
        if link.holding:
            link.active = now
        rests = self.course.loan is not None and bool(self.course.loan.rest)
        # While its world is on the way to a place, there is nothing that could be pressed.
        waits = phase.worker.move is not None and not rests
        return replace(
            facts,
            active=math.inf if waits else link.active,
            ends=self.course.ends,
            idle_allowed=phase.paused or phase.standing,
            crowded=self.course.crowded,
            seconds_recorded=phase.seconds_recorded,
            without_device=rests,
        )
