"""The sessions that have a place, and the engine of each; they move when it is lost."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from mgdemo.serving.devices import Devices
from mgdemo.serving.phases import Loading
from mgdemo.serving.session import Session


class Places(Collection[Session]):
    """Guarded by the service's lock."""

    def __init__(self, devices: Devices):
        self._devices = devices
        self._engines: dict[Session, int | None] = {}  # None: it waits for one
        self._lost: dict[Session, int] = {}  # the engine that failed it

    def __contains__(self, session: object) -> bool:
        return session in self._engines

    def __iter__(self) -> Iterator[Session]:
        return iter(self._engines)

    def __len__(self) -> int:
        return len(self._engines)

    def take(self, session: Session) -> bool:
        """Give it a place, and begin it; False if no engine works now."""
        index = self._choose(session)
        if index is None:
            return False
        self._engines[session] = index
        session.begin(self._devices[index])
        return True

    def leave(self, session: Session) -> None:
        self._engines.pop(session, None)
        self._lost.pop(session, None)

    def on(self, index: int) -> list[Session]:
        """Those on an engine."""
        return [session for session, engine in self._engines.items() if engine == index]

    def lost(self, index: int, reason: str) -> None:
        """An engine's worker is lost: its sessions move, or end with the reason."""
        for session in self.on(index):
            self._engines[session], self._lost[session] = None, index
            session.lost(reason, tries=len(self._devices))
        self.settle()

    def settle(self) -> None:
        """Move the sessions that wait for an engine."""
        for session in [session for session, engine in self._engines.items() if engine is None]:
            index = self._choose(session)
            if index is None:
                return
            self._engines[session] = index
            session.move(self._devices[index])

    def _choose(self, session: Session) -> int | None:
        loads = [engine for engine in self._engines.values() if engine is not None]
        # One that has shown nothing yet may have been the first to see that a device fails.
        avoid = self._lost.get(session) if isinstance(session.phase, Loading) else None
        return self._devices.least_loaded(loads, avoid)
