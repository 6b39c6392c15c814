"""How a session goes: its turns in the queue, its places on devices, and its phases."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from mgdemo import messages as m
from mgdemo.serving.engines import Engine
from mgdemo.serving.journal import Journaled, key_of
from mgdemo.serving.limits import QueueTurn
from mgdemo.serving.loan import Loan, seconds_needed, why_it_ends, why_it_rests
from mgdemo.serving.metrics import Metrics
from mgdemo.serving.phases import Ended, Loading, Phase, Queued, Saving
from mgdemo.serving.player_link import PlayerLink
from mgdemo.serving.playing import Playing
from mgdemo.serving.recorder import Recorder
from mgdemo.serving.request import SessionRequest
from mgdemo.settings import Settings

LOST_AGAIN = (
    "The GPU was lost twice at the same moment of this world, so it may be the reason. Your recording is "
    "kept; press Start to begin another session."
)


@dataclass(frozen=True)
class Hooks:
    """changed: called when its status may have changed; left: once, when it stops playing; rests: when it has
    given its place away until its visitor wants another one."""

    changed: Callable[[], None]
    left: Callable[[], None]
    rests: Callable[[], None]


class Course:
    """One session's. Guarded by the session's lock. counts: where the service counts blocks and frames."""

    def __init__(
        self,
        token: str,
        request: SessionRequest,
        link: PlayerLink,
        settings: Settings,
        counts: Metrics,
        hooks: Hooks,
    ):
        self.request = request
        self.phase: Phase = Queued(QueueTurn(1))
        self.engine: Engine | None = None  # from when it has a place
        self.began = time.monotonic()  # when it got its place
        self.ends = math.inf  # the moment when others get its place
        self.crowded = False  # whether others wait
        self.draining = False  # whether the server is about to be restarted
        self.suspended = False  # it gave its place to a visitor
        self.report: m.Report | None = None  # of a scenario that is complete
        self.loan = Loan() if settings.leases else None  # of its device, where those are lent
        self._token, self._link, self._settings, self._counts = token, link, settings, counts
        self._hooks = hooks

    def wait(self, turn: QueueTurn) -> None:
        """Its turn in the queue."""
        if self.suspended:
            return
        if self.loan is not None and isinstance(self.phase, Playing):
            self.loan.turn = turn
            self._hooks.changed()
            return
        before = self.phase.turn if isinstance(self.phase, Queued) else None
        self.phase = Queued(turn)
        if before is None or replace(before, at=turn.at) != turn or abs(before.at - turn.at) > 1:
            self._hooks.changed()

    def limit(self, ends: float | None, *, crowded: bool, draining: bool = False) -> None:
        """The moment when others get its place, if any; crowded: others wait; draining: its visitor has to
        know that the server is about to be restarted."""
        self.ends, self.crowded = math.inf if ends is None else ends, crowded
        if draining != self.draining:
            self.draining = draining
            self._hooks.changed()

    def begin(self, engine: Engine) -> None:
        """It gets a place: its first one, or again after it gave way."""
        now = self.began = time.monotonic()
        self.loan = None if self.loan is None else Loan()
        if self.suspended and self.engine is not None:
            engine.send(m.Continue(session=self._token))
        elif isinstance(self.phase, Playing):  # it has none any more
            self.phase.worker.move = None  # it has not been waited for since then
            self.phase.left(now, died=False)
            self.move(engine)
        else:
            self.phase = Loading()
            self.move(engine)
        self.suspended = False
        self._hooks.changed()

    def suspend(self) -> None:
        """Give its place to a visitor, keeping what is made so far; `begin` continues."""
        self.suspended = True
        if isinstance(self.phase, Playing):
            self.phase.rate.rest()
        if self.engine is not None:
            aside = m.Suspend if self.loan is None else partial(m.Close, for_now=True)
            self.engine.send(aside(session=self._token))
        if self.loan is not None:
            self.engine = None  # nobody is charged for a world that waits
        self._hooks.changed()

    def lost(self, reason: str, tries: int) -> None:
        """Its engine's worker is lost, so it waits for `move`. It ends if nothing was shown after so many
        tries, or if the session itself seems to be the reason."""
        self.engine = None
        match self.phase:
            case Playing() as phase if phase.lost(time.monotonic()):
                self.end("error", reason)
            case Loading() as phase if phase.tries >= tries:
                self.end("error", reason)
            case Loading() as phase:
                self.phase = Loading("The device is being restarted", tries=phase.tries + 1)
        self._hooks.changed()

    def move(self, engine: Engine) -> None:
        """It goes on, or begins, on an engine."""
        self.engine = engine
        match self.phase:
            case Playing() as phase:
                engine.send(self.request.order(self._token, phase.moved(engine.send)))
            case Loading():
                engine.send(self.request.order(self._token))

    def handle(self, event: m.Event) -> None:
        """Handle an event of its engine."""
        match self.phase, event:
            case _, m.Leased(seconds=seconds) if self.loan is not None:
                self.loan = Loan(asked=True, until=time.monotonic() + seconds)
                self._hooks.changed()
            case _, m.Left():
                self._rest(event)
            case _, m.Loading() if not self.request.loads(event, self._settings):
                pass  # it is told of all that its worker loads
            case Loading(), m.Loading():
                self.phase = replace(self.phase, text=event.text, progress=event.progress)
                self._hooks.changed()
            case Loading(), m.Ready():
                self._ready(event)
            case ((Loading() | Playing()), m.Failed()):
                self.end("error", event.text)
            case Playing() as phase, m.Ready():
                phase.ready_again()
            case Playing(), m.Finished(report=report):
                self.report = report
                self.end("ended", "The scenario is complete.")
            case Playing() as phase, _:
                if phase.handle(event):
                    self._hooks.changed()

    def ask(self, fps: float | None) -> tuple[Engine, float] | None:
        """Its page asks for the device that it waits for, once: the engine and seconds (`run_seconds`)."""
        if self.loan is None or self.engine is None or not self.loan.ask():
            return None
        self._hooks.changed()
        made = self.phase.frames if isinstance(self.phase, Playing) else 0
        return self.engine, seconds_needed(self.request, made, self._settings, fps)

    def go_on(self) -> bool:
        """Its visitor wants a device again; whether it was resting."""
        if self.loan is None or not self.loan.rest:
            return False
        self.loan = Loan(turn=QueueTurn(1))
        self._link.active = time.monotonic()
        self._hooks.changed()
        return True

    def tick(self, now: float) -> None:
        """Give a device back that nobody uses, or has asked for."""
        if self.loan is None or self.engine is None:
            return
        away = now - self._link.away_since if self._link.met else 0.0
        if left := self.loan.unused(self._token, now - self.began, away):
            self.engine.send(m.Close(session=self._token, for_now=True))
            self._rest(left)

    def _rest(self, left: m.Left) -> None:
        """It has no device until its visitor wants one again."""
        match self.phase:
            case Playing() as phase if phase.left(time.monotonic(), died=left.reason == "died"):
                self.end("error", LOST_AGAIN)
            case Playing() if self.request.unseen and left.reason != "over":
                self.end("error", why_it_ends(left))
            case Playing():
                self.engine, self.loan = None, Loan(rest=why_it_rests(left, self._settings.lease_seconds))
                self._link.active = time.monotonic()
                self._hooks.rests()
                self._hooks.changed()
            case Loading():
                self.end("error", why_it_ends(left))

    def welcome(self) -> None:
        """Tell a player that is connected what comes, once there is a world to play in."""
        if self._link.connected and isinstance(self.phase, Playing):
            self.phase.attached(
                seed=self.request.seed,
                checkpoint=self.request.checkpoint,
                reconnect_seconds=self._settings.reconnect_seconds,
            )

    def end(self, outcome: m.Outcome, text: str) -> None:
        """End it, once: give its place away and have its files written."""
        match self.phase:
            case Saving() | Ended():
                return
            case Playing() as phase:
                self.phase = Saving(outcome, text, phase.recorder, phase.tree.head, phase.frames)
            case _:
                self.phase = Ended(outcome, text)
        self._link.excuse()  # of the block at hand, the rest never comes
        if self.engine is not None:
            self.engine.send(m.Close(session=self._token))
        self._hooks.left()
        self._hooks.changed()

    def _ready(self, event: m.Ready) -> None:
        request, engine = self.request, self.engine
        assert engine is not None
        folder = request.folder or self._settings.record_dir
        journaled = None if request.folder else Journaled(key_of(self._token), request.about, request.account)
        recorder = Recorder(folder, request.checkpoint, event.width, event.height, event.fps, journaled)
        length = None if request.track is None else len(request.track)
        self.phase = Playing(event, engine.send, self._link, recorder, self._counts, length)
        self.welcome()
        self._hooks.changed()
