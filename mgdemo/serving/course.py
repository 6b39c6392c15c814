"""How a session goes: its turns in the queue, its places on devices, and its phases."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

from mgdemo import messages as m
from mgdemo.serving.engines import Engine
from mgdemo.serving.journal import Journaled, key_of
from mgdemo.serving.limits import Turn
from mgdemo.serving.metrics import Metrics
from mgdemo.serving.phases import Ended, Loading, Phase, Queued, Saving
from mgdemo.serving.player_link import PlayerLink
from mgdemo.serving.playing import Playing
from mgdemo.serving.recorder import Recorder
from mgdemo.serving.request import SessionRequest
from mgdemo.settings import Settings


class Course:
    """One session's. Guarded by the session's lock.

    changed: called when its status may have changed; left: once, when it stops playing; counts: where the
    service counts blocks and frames.
    """

    def __init__(
        self,
        token: str,
        request: SessionRequest,
        link: PlayerLink,
        settings: Settings,
        counts: Metrics,
        *,
        changed: Callable[[], None],
        left: Callable[[], None],
    ):
        self.request = request
        self.phase: Phase = Queued(Turn(1))
        self.engine: Engine | None = None  # from when it has a place
        self.began = time.monotonic()  # when it got its place
        self.ends = math.inf  # the moment when others get its place
        self.crowded = False  # whether others wait
        self.draining = False  # whether the server is about to be restarted
        self.suspended = False  # it gave its place to a visitor
        self.report: m.Report | None = None  # of a scenario that is complete
        self._token, self._link, self._settings, self._counts = token, link, settings, counts
        self._changed, self._left = changed, left

    def wait(self, turn: Turn) -> None:
        """Its turn in the queue."""
        if self.suspended:
            return
        before = self.phase.turn if isinstance(self.phase, Queued) else None
        self.phase = Queued(turn)
        if before is None or replace(before, at=turn.at) != turn or abs(before.at - turn.at) > 1:
            self._changed()

    def limit(self, ends: float | None, *, crowded: bool, draining: bool = False) -> None:
        """The moment when others get its place, if there is one; crowded: whether anybody waits; draining:
        whether its visitor has to know that the server is about to be restarted."""
        self.ends, self.crowded = math.inf if ends is None else ends, crowded
        if draining != self.draining:
            self.draining = draining
            self._changed()

    def begin(self, engine: Engine) -> None:
        """It gets a place: its first one, or again after it gave way."""
        now = self.began = time.monotonic()
        if self.suspended and self.engine is not None:
            engine.send(m.Continue(session=self._token))
        elif isinstance(self.phase, Playing):  # its worker was lost meanwhile
            self.phase.worker.move = None  # it has not been waited for since then
            self.phase.lost(now)
            self.move(engine)
        else:
            self.phase = Loading()
            self.move(engine)
        self.suspended = False
        self._changed()

    def suspend(self) -> None:
        """Give its place to a visitor, keeping what is made so far; `begin` continues."""
        self.suspended = True
        if isinstance(self.phase, Playing):
            self.phase.rate.rest()
        if self.engine is not None:
            self.engine.send(m.Suspend(session=self._token))
        self._changed()

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
        self._changed()

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
            case Loading(), m.Loading(checkpoint=self.request.checkpoint, optimization=self._optimization):
                self.phase = replace(self.phase, text=event.text, progress=event.progress)
                self._changed()
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
                    self._changed()

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
        if self.engine is not None:
            self.engine.send(m.Close(session=self._token))
        self._left()
        self._changed()

    @property
    def _optimization(self) -> str:
        wanted = self.request.optimization
        return self._settings.optimization if wanted is None else wanted

    def _ready(self, event: m.Ready) -> None:
        request, engine = self.request, self.engine
        assert engine is not None
        folder = request.folder or self._settings.record_dir
        journaled = None if request.folder else Journaled(key_of(self._token), request.about, request.account)
        recorder = Recorder(folder, request.checkpoint, event.width, event.height, event.fps, journaled)
        length = None if request.track is None else len(request.track)
        self.phase = Playing(event, engine.send, self._link, recorder, self._counts, length)
        self.welcome()
        self._changed()
