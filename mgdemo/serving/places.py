"""The sessions that have a place, and the engine of each; they move when it is lost, and runs give way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from mgdemo.serving.devices import Devices
from mgdemo.serving.phases import Loading
from mgdemo.serving.session import Session
from mgdemo.serving.sharing import Applicant, Holder


class Places(Collection[Session]):
    """Guarded by the service's lock."""

    def __init__(self, devices: Devices):
        self._devices = devices
        self._engines: dict[Session, int | None] = {}  # None: it waits for one
        self._lost: dict[Session, int] = {}  # the engine that failed it
        self._aside: dict[Session, int] = {}  # runs that gave way; their engines keep their worlds

    def __contains__(self, session: object) -> bool:
        return session in self._engines

    def __iter__(self) -> Iterator[Session]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    @property
    def engines(self) -> Mapping[Session, int | None]:
        """The engine of each, None while it waits for one."""
        return self._engines

    @property
    def holders(self) -> list[Holder]:
        return [Holder(s.token, at, s.request.background, s.course.began) for s, at in self._engines.items()]

    def applicants(self, waiting: Iterable[Session]) -> list[Applicant]:
        """Those who wait, in order."""
        return [Applicant(s.token, s.request.background, self._aside.get(s)) for s in waiting]

    def take(self, session: Session, among: Collection[int]) -> None:
        """Give it a place on one of these engines, and begin it, or let it continue there."""
        index = self._choose(session, among)
        assert index is not None, "they are asked of the devices"
        self._aside.pop(session, None)
        self._engines[session] = index
        session.course.begin(self._devices[index])

    def give_way(self, session: Session) -> None:
        """Take its place from a run, for a visitor."""
        if (index := self._engines.pop(session)) is not None:
            self._aside[session] = index
        session.course.suspend()

    def leave(self, session: Session) -> None:
        for sessions in (self._engines, self._lost, self._aside):
            sessions.pop(session, None)

    def engine_of(self, session: Session) -> int | None:
        """The one that a session is on, or that keeps its world; None if there is none now."""
        return self._aside.get(session, self._engines.get(session))

    def on(self, index: int) -> list[Session]:
        """Those on an engine, and those whose worlds it keeps."""
        both = self._engines | self._aside
        return [session for session in both if self.engine_of(session) == index]

    def lost(self, index: int, reason: str) -> None:
        """An engine's worker is lost: its sessions move, or end with the reason."""
        for session in [session for session, engine in self._aside.items() if engine == index]:
            del self._aside[session]
            session.course.engine = None  # its blocks will be made again when its turn comes
        for session in self.on(index):
            self._engines[session], self._lost[session] = None, index
            session.course.lost(reason, tries=len(self._devices))
        self.settle()

    def settle(self) -> None:
        """Move the sessions that wait for an engine."""
        for session in [session for session, engine in self._engines.items() if engine is None]:
            index = self._choose(session)
            if index is None:
                return
            self._engines[session] = index
            session.course.move(self._devices[index])

    def _choose(self, session: Session, among: Collection[int] | None = None) -> int | None:
        loads = [engine for engine in self._engines.values() if engine is not None]
        # One that has shown nothing yet may have been the first to see that a device fails.
        avoid = self._lost.get(session) if isinstance(session.phase, Loading) else None
        return self._devices.choose(loads, session.request.checkpoint, avoid, among)
