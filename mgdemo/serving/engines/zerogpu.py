"""Engines whose workers have a GPU only while a visitor's request holds it: ZeroGPU, by the package `spaces`.

`spaces` asks for a GPU on behalf of the visitor whose Gradio request is being handled, forks a process from
this one, and iterates a generator of ours in it, which connects to a Unix socket here: a lease. From then on
it is a worker like any other.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import cache

from mgdemo import messages as m
from mgdemo.errors import UserError
from mgdemo.serving.engines import Engine, EngineHealth, Fleet, OnEvent, OnLost, Slot, T
from mgdemo.serving.engines.lease import Lease, Rent
from mgdemo.settings import Settings


class EngineError(UserError):
    """An engine that cannot be had here; the message says how."""


@cache
def zerogpu() -> Rent:
    """The generator that `spaces` runs in a fork. It has to be known before the page is launched.

    Where there is no ZeroGPU, `spaces` would run it in this process, and nothing would be gained.
    """
    try:
        import spaces
        from spaces.config import Config
    except ImportError as error:
        raise EngineError(
            "The engine zerogpu needs the package spaces: pip install 'spaces>=0.51'."
        ) from error
    if not Config.zero_gpu:
        raise EngineError("This is no ZeroGPU Space: leave MGDEMO_ENGINE unset, or give process.")

    def duration(address: str, seconds: float) -> int:
        return math.ceil(seconds)

    @spaces.GPU(duration=duration)
    def lease(address: str, seconds: float) -> Generator[None]:
        from mgdemo.worker.lease import serve

        yield from serve(address, seconds)

    return lease


def lent_device() -> str:
    """The GPU that ZeroGPU lends, by name."""
    from spaces.config import Config

    return Config.zerogpu_cuda_device_name


class LeaseEngine:
    """One session at a time, in leases; see `Engine`. `Left` is the last event of each; it is never lost.

    The commands for a session wait, from its `Open` on, until a lease is taken for it.
    """

    def __init__(self, settings: Settings, device: str, on_event: OnEvent, rent: Rent):
        self.settings, self.device = settings, device
        self._on_event, self._rent = on_event, rent
        self._lock = threading.Lock()
        self._waiting: list[m.Command] = []
        self._lease: Lease | None = None

    def lease(self, session: str, seconds: float) -> Iterator[None]:
        """Have a GPU for a session while this is iterated, for so many seconds at most.

        To be iterated within a Gradio request of its visitor, whose quota is charged. Nothing is raised.
        """
        lease = Lease(self.device, session, self._on_event)

        def first() -> Sequence[m.Command]:
            with self._lock:
                waiting, self._waiting = self._waiting, []
                if self._lease is not lease:
                    lease.end()
                    return ()
            return m.Configure(settings=self.settings, device=self.settings.device), *waiting

        with self._lock:
            if self._lease is not None or not self._opens(session):
                return
            self._lease = lease
        try:
            yield from lease.hold(self._rent, seconds, first)
        finally:
            with self._lock:
                held = self._lease is lease  # else it was closed, and its place may have another one
                if held:
                    self._lease, self._waiting = None, []
            if held:
                self._on_event(lease.left)

    def send(self, command: m.Command) -> None:
        with self._lock:
            lease = self._lease
            match command:
                case m.Open():
                    self._waiting = [command]
                case m.Close(session=session) if lease is not None and lease.session == session:
                    lease.send(command)
                    lease.end()
                    self._lease, self._waiting = None, []
                case m.Close(session=session) if self._opens(session):
                    self._waiting = []
                case m.Warm() | m.Configure():
                    pass  # there is nobody whose quota it could be
                case _ if self._waiting:
                    self._waiting.append(command)
                case _ if lease is not None:
                    lease.send(command)

    def _opens(self, session: str) -> bool:
        return any(isinstance(each, m.Open) and each.session == session for each in self._waiting)

    def health(self) -> EngineHealth:
        lease = self._lease
        return EngineHealth(self.device, False) if lease is None else lease.health()

    def kill(self, reason: str) -> None:
        if (lease := self._lease) is not None:
            lease.kill(reason)

    def close(self) -> None:
        with self._lock:
            lease, self._lease, self._waiting = self._lease, None, []
        if lease is not None:
            lease.end()


class _Leases:
    """A `Fleet` of as many engines as there may be sessions."""

    def __init__(self, settings: Settings, rent: Rent):
        self._settings, self._rent = settings, rent
        self._slots = [Slot("zerogpu", str(number)) for number in range(settings.sessions)]

    def slots(self) -> Sequence[Slot]:
        return self._slots

    def engine(self, slot: Slot, on_event: OnEvent, on_lost: OnLost) -> Engine:
        return LeaseEngine(self._settings, slot.device, on_event, self._rent)

    def ask(self, work: Callable[[str], T], patience: float) -> T:
        raise EngineError("A lent device cannot be asked what it is.")

    def close(self) -> None:
        pass


def leases(settings: Settings, rent: Rent | None = None) -> Fleet:
    """rent: instead of ZeroGPU's. Raises EngineError where that cannot be had."""
    return _Leases(settings, rent or zerogpu())
