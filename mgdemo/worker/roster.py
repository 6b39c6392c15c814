"""A worker's sessions: which there are, what they need, and whose turn it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from mgdemo import messages as m
from mgdemo.settings import Settings
from mgdemo.worker.account import Account
from mgdemo.worker.checkpoint_cache import ModelKey
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
        session = _begun(self._sessions.pop(name, None))
        if session is not None and not for_now:
            session.history.forget()

    @property
    def playing(self) -> Iterator[Playing]:
        return (session for session in self._sessions.values() if isinstance(session, Playing))

    @property
    def accounts(self) -> list[Account]:
        """Of those that have begun, though they may be suspended."""
        begun = map(_begun, self._sessions.values())
        return [session.account for session in begun if session is not None]

    def disturb(self, but: Playing | None = None) -> None:
        """The device now works for something else than the sessions that play, or for `but` alone."""
        for session in self.playing:
            if session is not but:
                session.account.disturbed()

    def key(self, order: m.Open) -> ModelKey:
        """The key of the model that a session is played with."""
        wanted = order.optimization
        return ModelKey(order.checkpoint, self._settings.optimization if wanted is None else wanted)

    @property
    def keys_in_use(self) -> set[ModelKey]:
        sessions = [session for session in self._sessions.values() if not isinstance(session, Suspended)]
        return {self.key(session.order) for session in sessions}

    def waiting_for(self, key: ModelKey) -> list[Waiting]:
        waiting = [session for session in self._sessions.values() if isinstance(session, Waiting)]
        return [session for session in waiting if self.key(session.order) == key]

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


def _begun(kept: Kept | None) -> Playing | None:
    """The session itself, if it has begun."""
    suspended = kept.suspended if isinstance(kept, Waiting) else kept
    return suspended.playing if isinstance(suspended, Suspended) else suspended
