"""Engines: what carries commands to a worker on a device, and its events back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from mgdemo import messages as m
from mgdemo.settings import Settings

NO_HEARTBEAT = m.Heartbeat()  # what is assumed before the first one comes

T = TypeVar("T")
OnEvent = Callable[[m.Event], None]
OnLost = Callable[[str], None]  # called with the reason, in a sentence for visitors


def stopped(reason: str) -> str:
    """What visitors read of a worker that was lost."""
    return (
        f"The engine stopped unexpectedly ({reason}). Your recording is kept; press Start to begin another "
        "session, which restarts the engine."
    )


@dataclass(frozen=True)
class EngineHealth:
    """silent_seconds: since its last event. heartbeat: its last one."""

    device: str
    running: bool
    silent_seconds: float = 0.0
    heartbeat: m.Heartbeat = NO_HEARTBEAT

    def trouble(self, timeout: float) -> str:
        """Why the worker has to be ended, if so: it is dead, or makes no progress. timeout: 0 is never."""
        if not self.running or not timeout:
            return ""
        if self.silent_seconds > timeout:
            return "nothing came from it for too long"
        return "it made no progress for too long" if self.heartbeat.stuck_seconds > timeout else ""


class Engine(Protocol):
    """One device. Its worker starts when it is needed, and again after it was lost.

    Only events show that a worker lives, not an open connection: a worker sends `Heartbeat`s.
    """

    device: str

    def send(self, command: m.Command) -> None:
        """Never blocks. `Open` and `Warm` start the worker if it is not running; other commands do not."""
        ...

    def health(self) -> EngineHealth:
        """The latest known state; never blocks."""
        ...

    def kill(self, reason: str) -> None:
        """End a worker that hangs, at once: it is lost for this reason."""
        ...

    def close(self) -> None:
        """End the worker. The engine cannot be used afterwards."""
        ...


class EngineFactory(Protocol):
    def __call__(self, settings: Settings, device: str, on_event: OnEvent, on_lost: OnLost) -> Engine:
        """An engine; both functions are called from a thread of its own, heartbeats left out."""
        ...


@dataclass(frozen=True)
class Slot:
    """What one engine can run on. device: its name for operators; key: tells slots of the same name apart."""

    device: str
    key: str = ""


class Fleet(Protocol):
    """The slots for engines that there are; they may come and go. May be used from any thread."""

    def slots(self) -> Sequence[Slot]:
        """Those of this moment, as far as is known; never blocks."""
        ...

    def engine(self, slot: Slot, on_event: OnEvent, on_lost: OnLost) -> Engine:
        """An engine for a slot; see `EngineFactory`."""
        ...

    def ask(self, work: Callable[[str], T], patience: float) -> T:
        """What a function says of the first slot's device, called with its name on its host; as `apart`."""
        ...

    def close(self) -> None:
        """Called after all engines are closed."""
        ...
