"""A worker's sessions: which there are, what they need, and whose turn it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from mgdemo import messages as m
from mgdemo.settings import Settings
from mgdemo.worker.checkpoint_cache import Weights
from mgdemo.worker.schedule import Decision, decide
from mgdemo.worker.sessions import Playing
from mgdemo.worker.suspend import Suspended, Waiting

Kept = Waiting | Playing | Suspended


class Roster:
    """Sessions by name: those that wait for their checkpoint, that play, and that gave their device away."""

    def __init__(self, settings: Settings, emit: Callable[[m.Event], None]):
        self._settings, self._emit = settings, emit
        self._sessions: dict[str, Kept] = {}

    def __getitem__(self, name: str) -> Kept | None:
        return self._sessions.get(name)

    def __setitem__(self, name: str, session: Kept) -> None:
        self._sessions[name] = session

    def drop(self, name: str, for_now: bool = False) -> None:
        """for_now: another worker may take it up."""
        kept = self._sessions.pop(name, None)
        begun = kept.suspended if isinstance(kept, Waiting) else kept
        session = begun.playing if isinstance(begun, Suspended) else begun
        if isinstance(session, Playing) and not for_now:
            session.history.forget()

    @property
    def playing(self) -> Iterator[Playing]:
        return (session for session in self._sessions.values() if isinstance(session, Playing))

    def weights(self, order: m.Open) -> Weights:
        """What a session is played with."""
        wanted = order.optimization
        return Weights(order.checkpoint, self._settings.optimization if wanted is None else wanted)

    @property
    def weights_in_use(self) -> set[Weights]:
        sessions = [session for session in self._sessions.values() if not isinstance(session, Suspended)]
        return {self.weights(session.order) for session in sessions}

    def waiting_for(self, weights: Weights) -> list[Waiting]:
        waiting = [session for session in self._sessions.values() if isinstance(session, Waiting)]
        return [session for session in waiting if self.weights(session.order) == weights]

    def decide(self) -> Decision:
        """The next job, now or later. Says of those that stand still from now on that they do."""
        now, turns = time.monotonic(), []
        for session in self.playing:
            if session.begins_to_stand(now):
                self._emit(m.Standing(session=session.session))
            if turn := session.turn(now, self._settings.regenerates):
                turns.append(turn)
        return decide(turns, now)

    def due(self, decision: Decision) -> Playing | None:
        """The session of a decision whose moment has come."""
        session = self[decision.session or ""]
        return session if isinstance(session, Playing) and decision.start <= time.monotonic() else None
