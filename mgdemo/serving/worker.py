"""The process that owns a device: loads checkpoints, makes blocks when they are due, encodes them.

A `Worker` knows nothing of sockets or processes: commands come in by `hear`, events leave by a callable.
`main` is the local engine's process, with pipes at both ends.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

from mgdemo.actions import MODES, ActionTrack
from mgdemo.errors import UserError
from mgdemo.picture import prepare_image
from mgdemo.serving import messages as m
from mgdemo.serving.history import History
from mgdemo.serving.input import Input
from mgdemo.serving.pace import Pace
from mgdemo.settings import Settings
from mgdemo.video.encode import H264Encoder, jpeg, live_encoder

PATIENCE = 2.0  # seconds after which a track's next block no longer gives way to live play
AUDIENCE = 2.0  # seconds for which a track waits for its visitor's player, so that all of it is seen
AHEAD = 2  # blocks in the making at once, where a model decodes one while it makes another
THUMBNAIL = 96  # pixels wide

log = logging.getLogger(__name__)


@dataclass
class _Play:
    """One session's world, its latest input, and what is known of its visitor's player."""

    order: m.Open
    world: Any = None
    model: Any = None
    encoder: H264Encoder | None = None
    history: History | None = None
    picture: np.ndarray | None = None  # the last frame
    opening: float = -math.inf  # when a track begins without a player
    attached: bool = False
    jpeg: bool = False
    want_key: bool = False
    making: bool = False  # whether its next block has begun
    paused: bool = False
    steps: int = 0  # blocks to make although paused
    way: deque[int] | None = None  # nodes to be made again on the way back
    way_length: int = 0
    input: Input = field(default_factory=Input)
    actions: ActionTrack | None = None  # of the last block
    timings: dict[str, float] = field(default_factory=dict)  # of the last block's stages, in ms
    pace: Pace = field(default_factory=Pace)

    @property
    def live(self) -> bool:
        return self.order.track is None

    def ready(self, now: float) -> bool:
        if self.world is None or self.making or self.way is not None:
            return False
        if self.live:
            goes_on = self.attached and (not self.paused or self.steps > 0)
            return goes_on and not self.pace.behind
        return self.attached or self.pace.blocks > 0 or now >= self.opening

    def splice(self, now: float) -> int | None:
        """From which frame on the last block is to be made again now, if it is."""
        possible = not self.paused and self.actions is not None and self.world.can_regenerate
        splice = self.pace.splice(now) if possible else None
        return splice if splice is not None and self.input.differs(self.actions) else None

    def stand(self, blocks: int, frames: int) -> None:
        """Nothing is on its way to the player, and no block can be made again."""
        self.pace.stand(blocks, frames)
        self.actions, self.steps = None, 0


class Worker:
    """Obeys the commands that it hears, until `stop`.

    emit is called with every event, from this thread and from the one that loads checkpoints.
    """

    def __init__(self, settings: Settings, device: str, emit: Callable[[m.Event], None]):
        self.settings, self.device, self.emit = settings, device, emit
        kind, _, index = device.partition(":")
        self._gpu = None if kind == "cpu" else int(index or 0)  # which may encode, too
        self._commands: queue.SimpleQueue[tuple[float, Any]] = queue.SimpleQueue()  # and when they came
        self._kept: tuple[float, Any] | None = None  # a command to be obeyed when nothing is in the making
        self._making: deque[_Making] = deque()
        self._done = -math.inf  # when the last block was
        self._plays: dict[str, _Play] = {}
        self._models: OrderedDict[str, Any] = OrderedDict()  # least recently used first
        self._loading: set[str] = set()
        self._one_load = threading.Lock()
        self._stopping = False

    def stop(self) -> None:
        """Make `run` return. May be called from any thread."""
        self.hear(None)

    def hear(self, command: m.Command | _Loaded | None) -> None:
        """Take a command, to be obeyed before the next block. May be called from any thread."""
        self._commands.put((time.monotonic(), command))

    def run(self) -> None:
        while not self._stopping:
            _, _, start = self._next(time.monotonic())
            self._obey(max(0.0, start - time.monotonic()))
            # Commands may have changed what is next; and they must be heard just before a block begins.
            play, job, start = self._next(time.monotonic())
            if play is not None and start <= time.monotonic():
                self._guard(play, job)

    def _obey(self, seconds: float) -> None:
        """Obey the commands that wait; if there are none, wait for one at most so long."""
        try:
            command = self._kept or self._commands.get(timeout=None if math.isinf(seconds) else seconds)
            self._kept = None
            while True:
                self._command(*command)
                command = self._commands.get_nowait()
        except queue.Empty:
            pass

    def _listen(self) -> bool:
        """Obey commands that don't disturb blocks in the making; whether all that wait are such."""
        while self._kept is None and not self._commands.empty():
            came, command = self._commands.get()
            if isinstance(command, m.SetInput | m.Acknowledge | m.NeedKey):
                self._command(came, command)
            else:
                self._kept = came, command
        return self._kept is None

    def _command(self, came: float, command: m.Command | _Loaded | None) -> None:
        play = self._plays.get(getattr(command, "session", None))
        match command:
            case None:
                self._stopping = True
            case m.Warm(checkpoint):
                self._load(checkpoint)
            case m.Open():
                self._plays[command.session] = play = _Play(command)
                self._load(command.checkpoint)
                self._guard(play, self._start)
            case _Loaded():
                self._loaded(command)
            case m.Close():
                self._plays.pop(command.session, None)
            case _ if play is None:
                pass  # it crossed the end of its play
            case m.Attach():
                play.input.release()
                play.attached, play.jpeg, play.want_key = True, command.jpeg, True
                play.stand(play.pace.blocks, play.pace.frames)
                if play.paused and play.way is None:
                    self._arrive(play)  # or the player would have nothing to show
            case m.Detach():
                play.input.release()
                play.attached = False
            case m.SetInput():
                play.input.set(command.held, command.camera, command.number)
            case m.Acknowledge():
                play.pace.acknowledge(command.block, command.buffer_ms / 1000, came)
            case m.NeedKey():
                play.want_key = True
            case m.Pause():
                play.paused, play.steps = command.on, 0
            case m.Step():
                play.steps += play.paused
            case m.Rewind():
                self._guard(play, partial(self._rewind, node=command.node))

    def _next(self, now: float) -> tuple[_Play | None, Callable[[_Play], None] | None, float]:
        """The play whose turn it is next, what to do for it, and when: as late as all can be in time.

        Live plays go by the moment when their player runs dry. What is not urgent fills the time that they
        leave: blocks made again, since somebody has just pressed a key; then tracks and ways back, which come
        first when they have waited too long. Without a play, the moment is that to look again.
        """
        plays = [play for play in self._plays.values() if play.ready(now)]
        live = sorted((play for play in plays if play.live), key=lambda play: play.pace.dry)
        start = math.inf
        for play in reversed(live):
            start = play.pace.start(play.world.frames_next, start)
        for play in live if self.settings.regenerates else ():
            if now + play.pace.cost.high <= start and (splice := play.splice(now)) is not None:
                return play, partial(self._regenerate, splice=splice), now
        patient = [play for play in plays if not play.live]
        patient += [play for play in self._plays.values() if play.way is not None]
        if patient:
            play = min(patient, key=lambda play: play.pace.served)
            if now + play.pace.cost.high <= start or now - play.pace.served > PATIENCE:
                return play, self._make if play.way is None else self._go_back, now
        again = min((p.opening for p in self._plays.values() if p.opening > now), default=math.inf)
        return (live[0], self._make, start) if live and start <= again else (None, None, again)

    def _guard(self, play: _Play, step: Callable[[_Play], None]) -> None:
        """Run a step of a play; if it fails, the play ends and the others go on."""
        try:
            step(play)
        except Exception as error:
            log.exception("A play of %s failed.", play.order.checkpoint)
            self._plays.pop(play.order.session, None)
            self.emit(m.Failed(play.order.session, sentence(error)))
            if "CUDA error" in str(error):
                raise  # nothing works on this device any more: a new process is needed

    # Checkpoints

    def _load(self, checkpoint: str) -> None:
        if checkpoint in self._models:
            self._models.move_to_end(checkpoint)
        elif checkpoint not in self._loading:
            self._loading.add(checkpoint)
            in_use = {play.order.checkpoint for play in self._plays.values()}
            idle = [name for name in self._models if name not in in_use]
            while idle and len(self._models) + len(self._loading) > self.settings.models:
                del self._models[idle.pop(0)]  # before loading, so that memory never holds one more
            # So that plays go on. A new thread each time: OpenMP keeps a pool for each living thread that has
            # computed, and with more threads than cores it no longer spins: blocks take 1.5 times as long.
            threading.Thread(target=self._load_in_thread, args=(checkpoint,), daemon=True).start()

    def _load_in_thread(self, checkpoint: str) -> None:
        def progress(fraction: float, text: str) -> None:
            self.emit(m.Loading(checkpoint, float(fraction), text))

        try:
            progress(0.0, "Starting the engine")
            module, _, function = self.settings.loader.partition(":")
            with self._one_load:
                load = getattr(importlib.import_module(module), function)
                extra = {"optimization": self.settings.optimization} if self.settings.optimization else {}
                model = load(checkpoint, device=self.device, progress=progress, **extra)
                live_encoder(*model.size[::-1], model.fps, self._gpu)  # the first one tries what the GPU can
            self.hear(_Loaded(checkpoint, model, None))
        except Exception as error:
            log.exception("%s could not be loaded.", checkpoint)
            self.hear(_Loaded(checkpoint, None, error))

    def _loaded(self, loaded: _Loaded) -> None:
        self._loading.discard(loaded.checkpoint)
        if loaded.error is None:
            self._models[loaded.checkpoint] = loaded.model
        for play in [p for p in self._plays.values() if p.order.checkpoint == loaded.checkpoint]:
            if loaded.error is None:
                self._guard(play, self._start)
            elif play.world is None:
                del self._plays[play.order.session]
                self.emit(m.Failed(play.order.session, sentence(loaded.error)))

    # Plays

    def _start(self, play: _Play) -> None:
        """Put the world at its start, if the checkpoint is there."""
        order, model = play.order, self._models.get(play.order.checkpoint)
        if model is None or play.world is not None:
            return
        mode, (height, width) = model.mode, model.size
        if order.track is not None and order.track.mode != mode:
            raise PlayError(
                f"This scenario is for {MODES[order.track.mode].title}, but {order.checkpoint} plays "
                f"{MODES[mode].title}: choose a checkpoint of the scenario's mode."
            )
        play.encoder = live_encoder(width, height, model.fps, self._gpu)
        play.model, play.world = model, model.start(order.image, order.seed)
        play.pace.fps = model.fps
        play.picture = np.asarray(prepare_image(order.image, height, width))
        play.history = History(play.world, play.picture, self.settings.rewind_megabytes * 10**6)
        play.opening = time.monotonic() + AUDIENCE
        self.emit(m.Ready(order.session, mode, width, height, model.fps))

    def _make(self, play: _Play) -> None:
        """Make, encode and send the next block, and those of other plays that are begun meanwhile."""
        self._begin(play)
        while self._making:
            making = self._making[0]
            self._guard(making.play, partial(self._deliver, making=making))
            self._making.popleft()
            making.play.making = False

    def _begin(self, play: _Play) -> None:
        began = time.monotonic()
        if play.live:
            play.history.mark(play.world, play.picture)  # now that the last block stays as it is
            play.actions = play.input.sample(play.model.mode, play.world.frames_next)
            play.steps -= play.paused
        else:
            play.actions = play.order.track.block(play.pace.blocks)
        self._making.append(_Making(play, play.world.stream(play.actions), began, play.input.number))
        play.making = True

    def _begin_another(self) -> None:
        """Begin the block that is due next, if its model makes it beside those in the making."""
        if len(self._making) < AHEAD and self._making[0].play.model.pipelined and self._listen():
            play, job, start = self._next(time.monotonic())
            if job == self._make and start <= time.monotonic():
                self._guard(play, self._begin)

    def _deliver(self, play: _Play, making: _Making) -> None:
        """Encode and send a block that has begun."""
        pace, pieces = play.pace, self._taken(making)
        pieces = chain([next(pieces)], pieces)
        made = time.monotonic()
        play.history.add(play.actions)
        late = pace.late(made) if play.live else 0.0
        self._send(play, pieces, making.began, input_number=making.input, late=late)
        pace.delivered(len(play.actions), made, time.monotonic())
        if not play.live and pace.blocks == play.order.track.blocks:
            del self._plays[play.order.session]
            self.emit(m.Finished(play.order.session))

    def _taken(self, making: _Making) -> Iterator[np.ndarray]:
        """A block's pieces as they are there; another block may begin before each is waited for."""
        self._begin_another()
        for piece in making.pieces:
            yield piece
            self._begin_another()

    def _regenerate(self, play: _Play, splice: int) -> None:
        """Make the last block again, under what is held now from frame `splice` on, and send it anew."""
        began, rest = time.monotonic(), play.pace.frames - splice
        kept = play.actions.frames(0, len(play.actions) - rest)
        changed = play.input.sample_again(play.model.mode, rest)
        play.actions = play.history.nodes[play.history.head].actions = ActionTrack.concat([kept, changed])
        frames = play.world.regenerate(play.actions)
        play.want_key = True  # it does not follow what was encoded last
        self._send(play, [frames], began, input_number=play.input.number, splice=splice)

    def _send(
        self,
        play: _Play,
        pieces: Iterable[np.ndarray],
        began: float,
        *,
        input_number: int,
        late: float = 0.0,
        splice: int | None = None,
    ) -> None:
        """Announce the head's block; encode and send its frames, in pieces as they are made."""
        session, head = play.order.session, play.history.head
        node, pace = play.history.nodes[head], play.pace
        first = node.frames - len(node.actions)
        self.emit(
            m.Block(
                session=session,
                node=head,
                parent=node.parent,
                block=node.block,
                first_frame=first,
                frames=len(node.actions),
                splice=splice,
                keyboard=node.actions.keyboard,
                mouse=node.actions.mouse,
                input=input_number,
                made_ms=pace.cost.mean * 1000,
                late_ms=late * 1000,
                timings=play.timings,
            )
        )
        encoding = 0.0

        def encode(frames: np.ndarray, start: int, shown: bool = True) -> None:
            nonlocal encoding
            begin = time.monotonic()
            for i, frame in enumerate(frames, start):
                packet = play.encoder.encode(frame, key=play.want_key)
                play.want_key = False
                picture = jpeg(frame) if play.jpeg and play.attached and shown else None
                self.emit(m.Frame(session, head, node.block, i, packet, picture))
                if i == (splice or first):
                    pace.first.add(time.monotonic() - began)
            encoding += time.monotonic() - begin

        index, fresh = first, splice - first if splice else 0
        for frames in pieces:
            encode(frames[fresh:], index + fresh)
            index += len(frames)
        if fresh:  # for the recording: what the player has shown already, as it would have been
            play.want_key = True
            encode(frames[:fresh], first, shown=False)
            play.want_key = True  # again, the stream does not go on from here
        play.picture = frames[-1]
        self.emit(m.Thumbnail(session, head, jpeg(play.picture, quality=70, width=THUMBNAIL)))
        timings = play.world.timings | {"encode": encoding * 1000}
        play.timings = {name: float(ms) for name, ms in timings.items()}
        now = time.monotonic()
        pace.cost.add(now - max(began, self._done))  # before that, it was the others' time
        self._done = now

    # Going back

    def _rewind(self, play: _Play, node: int) -> None:
        """Set out for a node: to the nearest snapshot at once, from there block by block."""
        if not play.live or play.world is None or node not in play.history.nodes:
            return
        history = play.history
        history.mark(play.world, play.picture)
        mark, way = history.way(node)
        play.world.restore(mark.snapshot)
        history.head, play.picture = mark.node, mark.picture
        play.paused, play.want_key = True, True
        play.way, play.way_length = deque(way), len(way)
        play.input.release()
        if not way:
            self._arrive(play)

    def _go_back(self, play: _Play) -> None:
        """Make one block of the way again."""
        began, node = time.monotonic(), play.way.popleft()
        play.picture = play.world.step(play.history.nodes[node].actions)[-1]
        play.history.head, play.pace.served = node, time.monotonic()
        play.pace.cost.add(play.pace.served - began)
        self.emit(m.Rewinding(play.order.session, 1 - len(play.way) / play.way_length))
        if not play.way:
            self._arrive(play)

    def _arrive(self, play: _Play) -> None:
        history, play.way = play.history, None
        node = history.nodes[history.head]
        play.stand(node.block + 1, node.frames)
        self.emit(m.Rewound(play.order.session, history.head, node.block, node.frames, jpeg(play.picture)))


@dataclass(frozen=True)
class _Making:
    """A block that has begun, whose frames are still to be sent."""

    play: _Play
    pieces: Iterator[np.ndarray]
    began: float
    input: int  # number of the latest input that it obeys


@dataclass(frozen=True)
class _Loaded:
    checkpoint: str
    model: Any
    error: Exception | None


class PlayError(UserError):
    """A play that cannot be; the message is for the visitor."""


def sentence(error: Exception) -> str:
    """What to tell a visitor about an error: our own errors speak for themselves, others get a cure."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            "The device ran out of memory. Wait until another play has ended, choose a smaller checkpoint, "
            "or let the operator lower MGDEMO_SESSIONS."
        )
    reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    return (
        f"The model failed ({type(error).__name__}: {reason[:200]}). Press Start to play again; if it fails "
        f"again, choose another start image or checkpoint, and see the server's log."
    )


def main() -> None:
    """The local engine's process: pickled settings, device and commands at stdin, pickled events to stdout.

    It ends when stdin does, so that it never outlives the process that started it.
    """
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the web process decides
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not print into the events
    lock = threading.Lock()

    def emit(event: m.Event) -> None:
        data = pickle.dumps(event, pickle.HIGHEST_PROTOCOL)
        try:
            with lock:
                out.write(data)
                out.flush()
        except OSError:
            os._exit(0)

    def read() -> None:
        try:
            while True:
                worker.hear(pickle.load(sys.stdin.buffer))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)  # whoever wanted the blocks is gone; there is nothing to save here

    worker = Worker(*pickle.load(sys.stdin.buffer), emit)
    threading.Thread(target=read, name="commands", daemon=True).start()
    try:
        worker.run()
    except Exception:
        log.exception("The worker gives up.")
        os._exit(1)  # without waiting for a checkpoint that is being loaded
