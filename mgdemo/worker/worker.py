"""The worker: obeys commands, and does the jobs that the schedule decides on.

It knows nothing of sockets or processes: commands come in by `hear`, events leave by a callable.
"""

from __future__ import annotations

import logging
import math
import queue
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

import numpy as np

from mgdemo import messages as m
from mgdemo.actions import MODES
from mgdemo.settings import Settings
from mgdemo.video.encode import jpeg, live_encoder
from mgdemo.worker.checkpoint_cache import CheckpointCache, Loaded, gpu_index
from mgdemo.worker.delivery import Delivery
from mgdemo.worker.failures import SessionError, sentence
from mgdemo.worker.schedule import Decision, Job, decide
from mgdemo.worker.sessions import Making, Playing, Rewinding, Waiting
from mgdemo.worker.watch import Watch

BLOCK = "block"  # the work of making one, to be watched
AHEAD = 2  # blocks in the making at once, where a model decodes one while it makes another

log = logging.getLogger(__name__)


class Worker:
    """Obeys the commands that it hears, until `stop`.

    emit: called with every event, from this thread and from the one that loads checkpoints
    """

    def __init__(self, settings: Settings, device: str, emit: Callable[[m.Event], None]):
        self.settings, self.device, self.emit = settings, device, emit
        self._commands: queue.SimpleQueue[tuple[float, m.Command | Loaded | None]] = queue.SimpleQueue()
        self._kept: tuple[float, m.Command | Loaded | None] | None = None  # until nothing is in the making
        self._making: deque[Playing] = deque()
        self._sessions: dict[str, Waiting | Playing] = {}
        self._watch = Watch()
        self._checkpoints = CheckpointCache(settings, device, self.hear, emit, self._watch)
        self._delivery = Delivery(emit)
        self._stopping = False

    def stop(self) -> None:
        """Make `run` return. May be called from any thread."""
        self.hear(None)

    def hear(self, command: m.Command | Loaded | None) -> None:
        """Take a command, to be obeyed before the next block. May be called from any thread."""
        self._commands.put((time.monotonic(), command))

    @property
    def stuck_seconds(self) -> float:
        """How long there has been work without any progress in it. May be asked from any thread."""
        return self._watch.stuck_seconds

    def run(self) -> None:
        """Work until `stop`."""
        while self.work():
            pass

    def work(self, patience: float = math.inf) -> bool:
        """Obey the commands that are there, waiting for one until a job is due, at most `patience` seconds;
        then do the job that is due, if any. False when stopped."""
        start = self._decide().start
        self._obey(min(patience, max(0.0, start - time.monotonic())))
        # Commands may have changed what is next; and they must be heard just before a block begins.
        decision = self._decide()
        play = self._sessions.get(decision.session or "")
        if isinstance(play, Playing) and decision.start <= time.monotonic() and not self._stopping:
            self._watch.progress(BLOCK)
            self._guard(play, partial(self._do, decision=decision))
            self._watch.done(BLOCK)
        return not self._stopping

    def _decide(self) -> Decision:
        now, turns = time.monotonic(), []
        for play in self._playing():
            if play.begins_to_stand(now):
                self.emit(m.Standing(session=play.session))
            if turn := play.turn(now, self.settings.regenerates):
                turns.append(turn)
        return decide(turns, now)

    def _do(self, play: Playing, decision: Decision) -> None:
        match decision:
            case Decision(job=Job.BLOCK):
                self._make(play)
            case Decision(job=Job.REGENERATE, splice=int(splice)):
                began = time.monotonic()
                frames = play.regenerate(splice)
                play.player.wants_key = True  # it does not follow what was encoded last
                self._delivery.send(play, [frames], began, input_seq=play.input.input_seq, splice=splice)
            case Decision(job=Job.REWIND):
                self._repeat(play)

    def _playing(self, checkpoint: str | None = None) -> list[Playing]:
        return [play for play in self._sessions.values() if isinstance(play, Playing)]

    def _guard(self, play: Waiting | Playing, step: Callable[..., None]) -> None:
        """Do something for a session; if it fails, the session ends and the others continue."""
        try:
            step(play)
        except Exception as error:
            log.exception("A session of %s failed.", play.order.checkpoint)
            self._sessions.pop(play.order.session, None)
            self.emit(m.Failed(session=play.order.session, text=sentence(error)))
            if "CUDA error" in str(error):
                raise  # nothing works on this device any more: a new process is needed

    # Commands

    def _obey(self, seconds: float) -> None:
        """Obey the commands that wait; if there are none, wait for one, but not longer than this."""
        try:
            command = self._kept or self._commands.get(timeout=None if math.isinf(seconds) else seconds)
            self._kept = None
            while True:
                self._command(*command)
                command = self._commands.get_nowait()
        except queue.Empty:
            pass

    def _listen(self) -> bool:
        """Obey commands that don't disturb blocks in the making; whether there were no others."""
        while self._kept is None and not self._commands.empty():
            came, command = self._commands.get()
            message = command.message if isinstance(command, m.ToSession) else None
            if isinstance(message, m.Input | m.Ack | m.KeyFrame):
                self._command(came, command)
            else:
                self._kept = came, command
        return self._kept is None

    def _command(self, came: float, command: m.Command | Loaded | None) -> None:
        match command:
            case None:
                self._stopping = True
            case m.Warm():
                self._load(command.checkpoint)
            case m.Open():
                self._sessions[command.session] = waiting = Waiting(command)
                self._load(command.checkpoint)
                self._guard(waiting, self._start)
            case Loaded():
                self._loaded(command)
            case m.Close():
                self._sessions.pop(command.session, None)
            case m.Attach() | m.Detach() | m.ToSession():
                play = self._sessions.get(command.session)
                if isinstance(play, Playing):  # else it crossed the session's end
                    self._guard(play, partial(self._tell, command=command, came=came))

    def _tell(self, play: Playing, command: m.Attach | m.Detach | m.ToSession, came: float) -> None:
        match command:
            case m.Attach():
                play.input.release()
                play.pausing.on |= play.standing
                play.player.attached, play.player.jpeg, play.player.wants_key = True, command.jpeg, True
                play.reset_to_head()
                if play.pausing.on and play.rewinding is None:
                    self._arrive(play)  # or the player would have nothing to show
            case m.Detach():
                play.input.release()
                play.player.attached = False
            case m.ToSession(message=m.Input() as message):
                play.input.set(message.held, message.camera, message.input_seq)
            case m.ToSession(message=m.Ack() as message):
                play.pace.acknowledge(message.block, message.buffer_ms / 1000, came)
            case m.ToSession(message=m.KeyFrame()):
                play.player.wants_key = True
            case m.ToSession(message=m.Pause() as message):
                play.pausing.on, play.pausing.steps = message.on, 0
            case m.ToSession(message=m.Step()):
                play.pausing.steps += play.pausing.on or play.standing
            case m.ToSession(message=m.Rewind() as message):
                self._rewind(play, message.node)

    # Sessions

    def _load(self, checkpoint: str) -> None:
        self._checkpoints.load(checkpoint, {play.order.checkpoint for play in self._sessions.values()})

    def _loaded(self, loaded: Loaded) -> None:
        self._checkpoints.add(loaded)
        for waiting in [p for p in self._sessions.values() if isinstance(p, Waiting)]:
            if waiting.order.checkpoint != loaded.checkpoint:
                continue
            if isinstance(loaded.result, Exception):
                del self._sessions[waiting.order.session]
                self.emit(m.Failed(session=waiting.order.session, text=sentence(loaded.result)))
            else:
                self._guard(waiting, self._start)

    def _start(self, waiting: Waiting) -> None:
        """Begin a session, if its checkpoint is there."""
        order, model = waiting.order, self._checkpoints.get(waiting.order.checkpoint)
        if model is None:
            return
        mode, (height, width) = model.mode, model.size
        if order.track is not None and order.track.mode != mode:
            raise SessionError(
                f"This scenario is for {MODES[order.track.mode].title}, but {order.checkpoint} plays "
                f"{MODES[mode].title}: choose a checkpoint of the scenario's mode."
            )
        encoder = live_encoder(width, height, model.fps, gpu_index(self.device))
        self._sessions[order.session] = Playing(order, model, encoder, self.settings, time.monotonic())
        self.emit(m.Ready(session=order.session, mode=mode, width=width, height=height, fps=model.fps))

    # Blocks

    def _make(self, play: Playing) -> None:
        """Make and send the next block, and those of other sessions that are begun meanwhile."""
        self._begin(play)
        while self._making:
            self._guard(self._making[0], self._deliver)
            self._making.popleft().making = None

    def _begin(self, play: Playing) -> None:
        play.begin(time.monotonic())
        self._making.append(play)

    def _begin_another(self) -> None:
        """Begin the block that is due next, if its model makes it beside those in the making."""
        if len(self._making) < AHEAD and self._making[0].model.pipelined and self._listen():
            decision = self._decide()
            play = self._sessions.get(decision.session or "")
            due = decision.job is Job.BLOCK and decision.start <= time.monotonic()
            if due and isinstance(play, Playing):
                self._guard(play, self._begin)

    def _deliver(self, play: Playing) -> None:
        """Encode and send the block that a session has begun."""
        making, pace = play.making, play.pace
        assert making is not None
        pieces = self._taken(making)
        pieces = chain([next(pieces)], pieces)
        made = time.monotonic()
        play.history.tree.add(making.actions)
        late = pace.late(made) if play.live else 0.0
        self._delivery.send(play, pieces, making.began, input_seq=making.input_seq, late=late)
        pace.delivered(len(making.actions), made, time.monotonic())
        if play.finished:
            del self._sessions[play.session]
            self.emit(m.Finished(session=play.session))

    def _taken(self, making: Making) -> Iterator[np.ndarray]:
        """A block's pieces as they are there; another block may begin before each is waited for."""
        self._begin_another()
        for piece in making.pieces:
            self._watch.progress(BLOCK)
            yield piece
            self._begin_another()

    # Rewinding

    def _rewind(self, play: Playing, node: int) -> None:
        """Rewind to a node: to the nearest snapshot at once, from there block by block."""
        if not play.live or node not in play.history.tree:
            return
        play.history.mark()
        way = play.history.rewind(node)
        play.pausing.on, play.player.wants_key = True, True
        play.rewinding = Rewinding(deque(way), len(way))
        play.input.release()
        if not way:
            self._arrive(play)

    def _repeat(self, play: Playing) -> None:
        """Make one block of the way again."""
        began, rewinding = time.monotonic(), play.rewinding
        assert rewinding is not None
        play.history.repeat(rewinding.way.popleft())
        play.pace.served = time.monotonic()
        play.pace.cost.add(play.pace.served - began)
        progress = 1 - len(rewinding.way) / rewinding.length
        self.emit(m.Rewinding(session=play.session, progress=progress))
        if not rewinding.way:
            self._arrive(play)

    def _arrive(self, play: Playing) -> None:
        play.rewinding = None
        play.reset_to_head()
        tree = play.history.tree
        message = m.Rewound(node=tree.head, block=tree.blocks - 1, frames=tree.frames)
        picture = jpeg(play.history.picture)
        self.emit(m.RewindDone(session=play.session, message=message, picture=picture))
