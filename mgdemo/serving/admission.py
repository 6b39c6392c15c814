"""The queue: who may get in, who gets a place when, and what those who wait are told of it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable
from dataclasses import replace

from mgdemo.logs import session_id
from mgdemo.serving import limits
from mgdemo.serving.budget import Budgets
from mgdemo.serving.devices import Devices
from mgdemo.serving.metrics import Metrics
from mgdemo.serving.phases import Queued
from mgdemo.serving.places import Places
from mgdemo.serving.session import Session
from mgdemo.serving.sharing import Move, next_move
from mgdemo.serving.turns import Turns
from mgdemo.settings import Settings

MINUTE = 60.0
STARTS = (
    "You have just begun many sessions (counted by login or address): wait a few seconds, then press Start "
    "again."
)

log = logging.getLogger(__name__)


class Admission:
    """Guarded by the service's lock. `len` is the number of those who wait.

    draining: nobody gets in, and those who wait keep their positions.
    """

    def __init__(self, settings: Settings, places: Places, devices: Devices, counts: Metrics):
        self._settings, self._places, self._devices, self._counts = settings, places, devices, counts
        self._queue: dict[Session, float] = {}  # since when each waits, which is their order
        self._resting: set[Session] = set()  # without a place until their visitors want one again
        self._turns = Turns(settings.session_seconds)
        self._starts = Budgets(settings.visitor_starts / MINUTE, MINUTE / 2)
        self.draining = False

    def __len__(self) -> int:
        return len(self._queue)

    def refusal(self, account: str) -> limits.Refusal | None:
        """Why this visitor cannot join the queue; None if that is possible, which counts as one start.

        (Runs of a comparison give way to visitors.)"""
        if self.draining:
            return limits.Refusal("draining", f"{limits.DRAINING} Try again in a few minutes.")
        playing, waiting = _visitors(self._places), _visitors(self._queue)
        own = [s for s in (*playing, *waiting, *self._resting) if account and s.request.account == account]
        free = len(playing) < self._devices.places
        if (full := limits.full(free, len(waiting), len(own), self._settings)) is not None:
            return full
        # To begin costs a device more than to go on: its image is encoded, its first block comes at once.
        within = not account or self._starts.take(account, time.monotonic())
        return None if within else limits.Refusal("starts", STARTS)

    @property
    def slowest(self) -> float | None:
        """Frames made a second by the checkpoint that makes scenarios most slowly, as far as known."""
        return min(self._turns.speeds.values(), default=None)

    def enter(self, session: Session) -> None:
        """It waits for a place, behind those who wait already; a run of a comparison in the order of runs."""
        self._resting.discard(session)
        since = session.opened if session.request.background else time.monotonic()
        self._queue = dict(sorted([*self._queue.items(), (session, since)], key=lambda item: item[1]))

    def rest(self, session: Session) -> None:
        """It gives its place away, and does not wait for another one."""
        self._places.leave(session)
        self._resting.add(session)

    def leave(self, session: Session) -> None:
        """It has ended, in the queue or in its place."""
        self._places.leave(session)
        self._resting.discard(session)
        self._queue.pop(session, None)

    def admit(self) -> None:
        """Give free places to the sessions that wait."""
        if self.draining:
            return
        while self._queue and (move := self._next_move()):
            session = next(s for s in (*self._queue, *self._places) if s.token == move.token)
            if move.engines:
                since = self._queue.pop(session)
                if isinstance(session.phase, Queued):
                    self._counts.sessions.inc()
                    about = {"session": session_id(session.token), "checkpoint": session.request.checkpoint}
                    log.info("A session got a place.", extra=about)
                    if not session.request.background:
                        self._counts.wait.observe(time.monotonic() - since)
                self._places.take(session, move.engines)
            else:
                self._places.give_way(session)
                self.enter(session)

    def plan(self) -> None:
        """Update what all sessions know of the queue. Runs of a comparison are left out: a visitor never
        waits for one."""
        waiting = {session: self._queue[session] for session in _visitors(self._queue)}
        plan = self._turns.plan(_visitors(self._places), waiting)
        behind_all = limits.QueueTurn(len(waiting) + 1, background=True)
        for session in self._queue:
            turn = plan.turns.get(session.token, behind_all)
            held = replace(turn, at=math.inf, held=True)
            session.course.wait(held if self.draining else turn)
        crowded = bool(self._queue) or self.draining
        for session in (*self._places, *self._queue, *self._resting):  # only one with a place has to give it
            ends = None if self.draining else plan.ends.get(session.token)
            session.course.limit(ends, crowded=crowded, draining=self.draining)

    def _next_move(self) -> Move | None:
        places, waiting = self._places, self._places.applicants(self._queue)
        each = self._settings.sessions_each
        return next_move(places.holders, waiting, self._devices.places, self._devices.working, each)


def _visitors(sessions: Iterable[Session]) -> list[Session]:
    """Without the runs of comparisons."""
    return [session for session in sessions if not session.request.background]
