"""The worker: obeys commands, and does the jobs that the schedule decides on.

It knows nothing of sockets or processes: commands come in by `hear`, events leave by a callable.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from mgdemo import messages as m
from mgdemo.interfaces import Model
from mgdemo.settings import Settings
from mgdemo.video.encode import live_encoder
from mgdemo.worker.checkpoint_cache import CheckpointCache, Loaded, ModelKey, gpu_index
from mgdemo.worker.delivery import Delivery
from mgdemo.worker.failures import raise_if_broken, sentence
from mgdemo.worker.inbox import Inbox, Instruction
from mgdemo.worker.meter import Meter
from mgdemo.worker.player_commands import obey_player
from mgdemo.worker.regenerate import regenerate_head
from mgdemo.worker.restore import begin_to_restore, restore_on
from mgdemo.worker.rewind import rewind_on
from mgdemo.worker.roster import Roster
from mgdemo.worker.schedule import Decision, Job
from mgdemo.worker.sessions import Making, Playing, Restoring
from mgdemo.worker.suspend import Suspended, Waiting, suspend
from mgdemo.worker.watch import Watch

BLOCK = "block"  # the work of making one, to be watched
AHEAD = 2  # blocks in the making at once, where a model decodes one while it makes another

Emit = Callable[[m.Event], None]

log = logging.getLogger(__name__)


class Worker:
    """Obeys the commands that it hears, until `stop`.

    emit: called with every event, from this thread and from the one that loads checkpoints
    cache: that of an earlier worker in this process
    """

    def __init__(self, settings: Settings, device: str, emit: Emit, cache: CheckpointCache | None = None):
        self.settings, self.device, self.emit = settings, device, emit
        self._inbox, self._watch = Inbox(), Watch()
        self._sessions = Roster(settings, emit)
        self._making: deque[Playing] = deque()
        self.checkpoints = cache or CheckpointCache()
        self.checkpoints.attach(settings, device, self.hear, emit, self._watch)
        self._delivery, self._meter = Delivery(emit), Meter(device)
        self._stopping = False

    def stop(self) -> None:
        """Make `run` return. May be called from any thread."""
        self.hear(None)

    def hear(self, command: Instruction) -> None:
        """Take a command, to be obeyed before the next block. May be called from any thread."""
        self._inbox.put(command)

    def heartbeat(self) -> m.Heartbeat:
        """May be asked from any thread."""
        return m.Heartbeat(
            stuck_seconds=self._watch.stuck_seconds,
            memory_bytes=self._meter.used_bytes,
            checkpoints=tuple(key.checkpoint for key in self.checkpoints.held),
        )

    def run(self) -> None:
        """Work until `stop`."""
        while self.work():
            pass

    def work(self, patience: float = math.inf) -> bool:
        """Obey the commands that are there, waiting for one until a job is due, at most `patience` seconds;
        then do the job that is due, if any. False when stopped."""
        start = self._sessions.decide().start
        for came, command in self._inbox.all(min(patience, max(0.0, start - time.monotonic()))):
            self._obey(command, came)
        # Commands may have changed what is next; and they must be heard just before a block begins.
        decision = self._sessions.decide()
        session = self._sessions.due(decision)
        if session is not None and not self._stopping:
            self._watch.progress(BLOCK)
            self._guard(session, partial(self._do, decision=decision))
            self._watch.done(BLOCK)
        return not self._stopping

    def _do(self, session: Playing, decision: Decision) -> None:
        self._sessions.disturb(but=session)
        match decision:
            case Decision(job=Job.BLOCK):
                self._make(session)
            case Decision(job=Job.REGENERATE, splice=int(splice)):
                regenerate_head(session, splice, self.emit, self._delivery)
            case Decision(job=Job.REPEAT) if isinstance(session.repeating, Restoring):
                restore_on(session, self.emit, self._delivery)
                self._finish(session)
            case Decision(job=Job.REPEAT):
                rewind_on(session, self.emit)

    def _guard(self, session: Waiting | Playing, step: Callable[..., None]) -> None:
        """Do something for a session; if it fails, the session ends and the others continue."""
        try:
            step(session)
        except Exception as error:
            log.exception("A session of %s failed.", session.order.checkpoint)
            raise_if_broken(error, self.emit)
            self._sessions.drop(session.order.session)
            self.emit(m.Failed(session=session.order.session, text=sentence(error)))

    # Commands

    def _obey(self, command: Instruction, came: float) -> None:
        match command:
            case None:
                self._stopping = True
            case m.Warm():
                self._load(ModelKey(command.checkpoint, self.settings.optimization))
            case m.Open():
                self._wait(Waiting(command))
            case Loaded():
                self._loaded(command)
            case m.Suspend():
                self._suspend(command.session)
            case m.Continue():
                suspended = self._sessions[command.session]
                if isinstance(suspended, Suspended):
                    self._wait(Waiting(suspended.order, suspended))
            case m.Close():
                self._sessions.drop(command.session, command.for_now)
            case m.Attach() | m.Detach() | m.ToSession():
                session = self._sessions[command.session]
                if isinstance(session, Playing):  # else the command crossed the session's end
                    self._guard(session, partial(obey_player, command=command, came=came, emit=self.emit))

    # Sessions

    def _wait(self, waiting: Waiting) -> None:
        """Begin or continue a session as soon as its checkpoint is there."""
        self._sessions[waiting.order.session] = waiting
        self._load(self._sessions.key(waiting.order))
        self._guard(waiting, self._start)

    def _suspend(self, name: str) -> None:
        def put_aside(session: Playing) -> None:
            self._sessions[name] = suspend(session)

        match self._sessions[name]:
            case Waiting(order=order, suspended=before):
                self._sessions[name] = before or Suspended(order)
            case Playing() as session:
                self._guard(session, put_aside)

    def _load(self, key: ModelKey) -> None:
        self.checkpoints.load(key, self._sessions.keys_in_use)
        if self.checkpoints.loading:
            self._sessions.disturb()

    def _loaded(self, loaded: Loaded) -> None:
        self.checkpoints.add(loaded)
        if isinstance(loaded.result, Exception):
            raise_if_broken(loaded.result, self.emit)
        for waiting in self._sessions.waiting_for(loaded.key):
            if isinstance(loaded.result, Exception):
                self._sessions.drop(waiting.order.session)
                self.emit(m.Failed(session=waiting.order.session, text=sentence(loaded.result)))
            else:
                self._guard(waiting, partial(self._start, load_seconds=loaded.seconds))

    def _start(self, waiting: Waiting, load_seconds: float | None = None) -> None:
        """Begin a session, or continue it, if its checkpoint is there."""
        order = waiting.order
        if (model := self.checkpoints.get(self._sessions.key(order))) is None:
            return
        if waiting.suspended is not None and (session := waiting.suspended.proceed(model)) is not None:
            self._sessions[order.session] = session
            return
        (height, width), fps = model.size, model.fps
        encoder = live_encoder(width, height, fps, gpu_index(self.device))
        session = Playing(order, model, encoder, self.settings, time.monotonic(), load_seconds)
        session.account.begin(self._meter, self._sessions.accounts)
        if self.checkpoints.loading:
            session.account.disturbed()
        self._sessions[order.session] = session
        self.emit(_ready(order.session, model))
        if order.past is not None:
            begin_to_restore(session, order.past, self.emit)

    # Blocks

    def _make(self, session: Playing) -> None:
        """Make and send the next block, and those of other sessions that are begun meanwhile."""
        self._begin(session)
        while self._making:
            self._guard(self._making[0], self._deliver)
            self._making.popleft().making = None

    def _begin(self, session: Playing) -> None:
        self.emit(m.Begun(session=session.session, parent=session.history.tree.head))
        session.begin(time.monotonic())
        self._making.append(session)

    def _begin_another(self) -> None:
        """Begin the block that is due next, if its model makes it beside those in the making."""
        if len(self._making) >= AHEAD or not self._making[0].model.pipelined:
            return
        for came, command in self._inbox.harmless():
            self._obey(command, came)
        decision = self._sessions.decide()
        session = self._sessions.due(decision)
        if session is not None and decision.job is Job.BLOCK and not self._inbox.held_up:
            self._sessions.disturb(but=session)
            self._guard(session, self._begin)

    def _deliver(self, session: Playing) -> None:
        """Encode and send the block that a session has begun."""
        assert session.making is not None
        self._delivery.deliver(session, session.making, self._taken(session.making))
        self._finish(session)

    def _finish(self, session: Playing) -> None:
        """End a scenario whose last block is made."""
        if session.finished:
            self._sessions.drop(session.session)
            self.emit(m.Finished(session=session.session, report=session.account.report(self._meter)))

    def _taken(self, making: Making) -> Iterator[np.ndarray]:
        """A block's pieces as they are there; another block may begin before each is waited for."""
        self._begin_another()
        for piece in making.pieces:
            self._watch.progress(BLOCK)
            yield piece
            self._begin_another()


def _ready(session: str, model: Model) -> m.Ready:
    height, width = model.size
    return m.Ready(
        session=session,
        mode=model.mode,
        width=width,
        height=height,
        fps=model.fps,
        notice=model.notice,
    )
