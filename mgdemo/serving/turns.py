"""Whose turn it is and when: what is known of the sessions, put together for the plan."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping

from mgdemo.blocks import FPS
from mgdemo.serving import limits
from mgdemo.serving.limits import Place, Plan, Waiter
from mgdemo.serving.playing import Playing
from mgdemo.serving.session import Session


class Turns:
    """Plans who ends and who waits how long; learns how quickly each checkpoint makes scenarios."""

    def __init__(self, session_seconds: float):
        self._session_seconds = session_seconds
        self.speeds: dict[str, float] = {}  # frames per second

    def plan(self, places: Collection[Session], queue: Mapping[Session, float]) -> Plan:
        """queue: since when each waits, in order."""
        for session in places:
            phase = session.phase
            if isinstance(phase, Playing) and not session.live and phase.rate.fps:
                self.speeds[session.request.checkpoint] = phase.rate.fps
        return limits.plan(
            [self._place(session) for session in places],
            [self._waiter(session, since) for session, since in queue.items()],
            self._session_seconds,
            limits.GRACE,
        )

    def _place(self, session: Session) -> Place:
        phase, expected = session.phase, math.inf  # nobody knows how long a world takes to load
        if isinstance(phase, Playing) and phase.worker.move is None:
            expected = time.monotonic() + self._lasts(session, phase.frames)
        return Place(session.token, session.request.visitor, session.course.began, expected)

    def _waiter(self, session: Session, since: float) -> Waiter:
        return Waiter(session.token, session.request.visitor, since, self._lasts(session, 0))

    def _lasts(self, session: Session, made: int) -> float:
        """Seconds until its scenario is complete; infinite for live sessions."""
        track = session.request.track
        if track is None:
            return math.inf
        return (len(track) - made) / self.speeds.get(session.request.checkpoint, FPS)
