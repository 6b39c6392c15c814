"""The engines of a service: which there are, and which of them work."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial

from mgdemo import messages as m
from mgdemo.serving.engines import Engine, Fleet, Slot, T
from mgdemo.serving.warming import Warming, pause
from mgdemo.settings import Settings

CLOSE_SECONDS = 5.0  # that all workers together may take to end
LEFT = (
    "The device of your world was taken away. Your recording is kept; press Start to begin another session."
)

log = logging.getLogger(__name__)


@dataclass
class Condition:
    """failures: in a row, without a block in between. until: set aside until then. reason: of the latest."""

    failures: int = 0
    until: float = 0.0
    reason: str = ""
    broken: str = ""  # what its worker has said of the device, as it ended

    def failed(self, reason: str, now: float) -> None:
        """Its worker is lost. One that just died is started again at once."""
        before = self.failures + bool(self.broken)
        self.failures += 1
        self.reason, self.broken = self.broken or reason, ""
        self.until = now + pause(before) if before else now

    def works(self) -> None:
        """It has made a block, so all is well again."""
        self.failures, self.until, self.reason, self.broken = 0, 0.0, "", ""


@dataclass(frozen=True)
class _Member:
    number: int
    slot: Slot
    engine: Engine
    condition: Condition = field(default_factory=Condition)
    warming: Warming = field(default_factory=Warming)


class Devices:
    """The engines of a fleet, by numbers that are never used again.

    on_event, on_lost: called with the number of an engine (and, of a lost one, with the name of its device),
    from the engines' threads. An engine that fails again and again is set aside, each time for longer; a
    block that it makes ends that. The engine of a new slot is there at once, that of a vanished slot is lost.
    """

    def __init__(
        self,
        settings: Settings,
        fleet: Fleet,
        on_event: Callable[[int, m.Event], None],
        on_lost: Callable[[int, str, str], None],
    ):
        self._settings, self._fleet = settings, fleet
        self._on_event, self._on_lost = on_event, on_lost
        self._lock = threading.Lock()
        self._members: dict[int, _Member] = {}
        self._numbers = itertools.count()
        self._warmed = ""  # the checkpoint that every engine loads when it comes
        self._have_loaded = settings.leases  # one that is lent loads nothing before it is asked for
        self._closed = False

    def __getitem__(self, number: int) -> Engine:
        return self._members[number].engine

    def __len__(self) -> int:
        return len(self._now())

    @property
    def working(self) -> list[int]:
        """Those that are not set aside."""
        now = time.monotonic()
        return [member.number for member in self._now() if member.condition.until <= now]

    @property
    def places(self) -> int:
        """How many sessions may run at once, over those that work."""
        all_of_them, each = self._settings.sessions, self._settings.sessions_each
        return min(all_of_them, each * len(self.working)) if each else all_of_them

    def choose(
        self,
        loads: Iterable[int],
        checkpoint: str = "",
        avoid: int | None = None,
        among: Collection[int] | None = None,
    ) -> int | None:
        """The engine for the next session, if one is not set aside: one with the fewest sessions, and of
        those one that has loaded its checkpoint, or else as few others as possible.

        loads: the engine of each session that runs; avoid: one that is only taken if there is no other;
        among: the only ones in question.
        """
        counts = Counter(loads)

        def cost(number: int) -> tuple:
            loaded = self[number].health().heartbeat.checkpoints
            return number == avoid, counts[number], checkpoint not in loaded, len(loaded)

        return min((n for n in self.working if among is None or n in among), key=cost, default=None)

    def heard(self, number: int, event: m.Event) -> None:
        """What an event of its worker says of an engine itself."""
        if (member := self._members.get(number)) is None:
            return
        match event:
            case m.Thumbnail():  # of a block that is made
                member.condition.works()
            case m.Broken(text=text):
                member.condition.broken = text
            case m.Loading(checkpoint=self._warmed, error=error) if error:
                member.warming.failed(error, time.monotonic())

    def failed(self, number: int, reason: str) -> str:
        """Its worker is lost; the reason to give, in a sentence for visitors."""
        if (member := self._members.get(number)) is None:
            return reason  # its slot is gone, too
        member.condition.failed(reason, now := time.monotonic())
        if (aside := member.condition.until - now) > 0:
            log.error("Device %s is set aside for %.0f s.", member.slot.device, aside)
        member.warming.failed(member.condition.reason, now)
        return member.condition.reason

    def warm(self, checkpoint: str) -> None:
        """Have a checkpoint loaded by every engine, and by those that come later."""
        members, self._warmed = self._now(), checkpoint
        for member in members:
            self._warm(member)

    def _warm(self, member: _Member) -> None:
        member.warming.began()
        member.engine.send(m.Warm(checkpoint=self._warmed))

    def check(self) -> None:
        """End workers that are silent or stuck, and have those try again that could not load."""
        for member in self._now():
            health = member.engine.health()
            if trouble := health.trouble(self._settings.worker_timeout_seconds):
                member.engine.kill(trouble)
            elif member.warming.again(time.monotonic(), loaded=bool(health.heartbeat.checkpoints)):
                self._warm(member)

    @property
    def have_loaded(self) -> bool:
        """Whether an engine has a checkpoint in memory, or had one when this was asked before."""
        self._have_loaded |= any(member.engine.health().heartbeat.checkpoints for member in self._now())
        return self._have_loaded

    @property
    def status(self) -> str:
        """ "ok", "degraded" (some engine fails) or "failing" (all are set aside, or there is none)."""
        now, members = time.monotonic(), self._now()
        if all(member.condition.until > now for member in members):
            return "failing"
        fails = any(member.condition.failures or member.warming.failures for member in members)
        return "degraded" if fails else "ok"

    @property
    def cannot_load(self) -> bool:
        """Whether no engine could load what it was told to, at its latest try."""
        return all(member.warming.failures for member in self._now())

    def health(self) -> list[dict]:
        """Their state, in JSON types."""
        now, states = time.monotonic(), []
        for member in self._now():
            health, condition = member.engine.health(), member.condition
            states.append(
                {
                    "engine": member.number,
                    "device": health.device,
                    "running": health.running,
                    "silent_seconds": round(health.silent_seconds, 1),
                    "stuck_seconds": round(health.heartbeat.stuck_seconds, 1),
                    "memory_bytes": health.heartbeat.memory_bytes,
                    "checkpoints": len(health.heartbeat.checkpoints),
                    "trouble": health.trouble(self._settings.worker_timeout_seconds),
                    "failures": condition.failures,
                    "aside_seconds": round(max(0.0, condition.until - now), 1),
                    "reason": condition.reason or member.warming.reason,
                }
            )
        return states

    def ask(self, work: Callable[[str], T], patience: float) -> T:
        """See `Fleet`."""
        return self._fleet.ask(work, patience)

    def close(self) -> None:
        members, self._closed = self._now(), True
        closing = [threading.Thread(target=member.engine.close, daemon=True) for member in members]
        for thread in closing:
            thread.start()
        until = time.monotonic() + CLOSE_SECONDS
        for thread in closing:
            thread.join(max(0.0, until - time.monotonic()))
        self._fleet.close()

    def _now(self) -> list[_Member]:
        """The engines of the slots that there are at the moment."""
        with self._lock:
            if self._closed:
                return []
            slots = self._fleet.slots()
            known = {member.slot: member for member in self._members.values()}
            for slot in known.keys() - set(slots):
                member = self._members.pop(known[slot].number)
                threading.Thread(target=self._leave, args=(member,), daemon=True).start()
            for slot in slots:
                if slot not in known:
                    member = self._come(slot)
                    self._members[member.number] = member
            return list(self._members.values())

    def _come(self, slot: Slot) -> _Member:
        number = next(self._numbers)
        on_event, on_lost = partial(self._on_event, number), partial(self._on_lost, number, slot.device)
        member = _Member(number, slot, self._fleet.engine(slot, on_event, on_lost))
        if self._warmed:
            self._warm(member)
        return member

    def _leave(self, member: _Member) -> None:
        running = member.engine.health().running
        member.engine.close()
        if running:  # else it has said so itself
            self._on_lost(member.number, member.slot.device, LEFT)
