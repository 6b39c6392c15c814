"""The process that owns a device: loads checkpoints, makes blocks when they are due, encodes them.

A `Worker` knows nothing of sockets or processes: commands come in by a queue, events leave by a callable.
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
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mgdemo.actions import MODES, ActionTrack
from mgdemo.serving import messages as m
from mgdemo.serving.settings import Settings
from mgdemo.video.encode import H264Encoder, jpeg

UNACKNOWLEDGED = 3  # blocks; above, live play waits for its visitor
MARGIN = 0.03  # seconds by which a block is to be early
PATIENCE = 2.0  # seconds after which a track's next block no longer gives way to live play
AUDIENCE = 2.0  # seconds for which a track waits for its visitor's player, so that all of it is seen

log = logging.getLogger(__name__)


class Estimate:
    """A running upper estimate of a fluctuating time: its mean and twice its mean deviation."""

    def __init__(self):
        self.mean, self.deviation = 0.0, 0.0
        self._empty = True

    def add(self, value: float) -> None:
        if self._empty:
            self.mean, self._empty = value, False
            return
        error = value - self.mean
        self.mean += error / 4
        self.deviation += (abs(error) - self.deviation) / 4

    @property
    def high(self) -> float:
        return self.mean + 2 * self.deviation


@dataclass
class _Play:
    """One session's world, its latest input, and what is known of its visitor's player."""

    order: m.Open
    world: Any = None
    model: Any = None
    encoder: H264Encoder | None = None
    opening: float = -math.inf  # when a track begins without a player
    attached: bool = False
    jpeg: bool = False
    want_key: bool = False
    held: tuple[str, ...] = ()
    pressed: dict[str, None] = field(default_factory=dict)  # since the last block began; ordered
    camera: tuple[float, float] = (0.0, 0.0)
    glance: tuple[float, float] | None = None  # the last camera movement since the last block began
    blocks: int = 0
    frames: int = 0
    acknowledged: int = 0  # blocks
    sent: OrderedDict[int, tuple[float, int]] = field(default_factory=OrderedDict)  # when, and frames so far
    encoding: dict[str, float] = field(default_factory=dict)  # the last block's time of that, in ms
    served: float = -math.inf  # when its last block was done
    dry: float = -math.inf  # when its next block must leave, or the player runs dry
    cost: Estimate = field(default_factory=Estimate)
    line: Estimate = field(default_factory=Estimate)  # from a block's last packet to its acknowledgement

    @property
    def live(self) -> bool:
        return self.order.track is None

    def ready(self, now: float) -> bool:
        if self.world is None:
            return False
        if self.live:
            return self.attached and self.blocks - self.acknowledged <= UNACKNOWLEDGED
        return self.attached or self.blocks > 0 or now >= self.opening

    def release(self) -> None:
        self.held, self.pressed, self.camera, self.glance = (), {}, (0.0, 0.0), None

    def set_input(self, held: tuple[str, ...], camera: tuple[float, float]) -> None:
        for key in held:
            if key not in self.held:
                self.pressed.pop(key, None)
                self.pressed[key] = None  # now the latest
        self.held, self.camera = held, camera
        if any(camera):
            self.glance = camera

    def sample(self, mode: str, frames: int) -> ActionTrack:
        """The block's actions: what is held, and what was pressed since the last block began (in the order of
        pressing), so that a tap shorter than a block still counts."""
        keys = [key for key in self.held if key not in self.pressed] + list(self.pressed)
        camera = self.camera if any(self.camera) else self.glance
        self.pressed, self.glance = {}, None
        return ActionTrack.hold(mode, keys, camera, frames)

    def acknowledge(self, block: int, buffered: float, now: float) -> None:
        """Block `block` is there and the player has `buffered` seconds left: when will it run dry?"""
        if block not in self.sent:
            return
        sent_at, frames = self.sent[block]
        self.acknowledged = max(self.acknowledged, block + 1)
        self.line.add(min(1.0, now - sent_at))
        # The next packet travels one way and this acknowledgement has travelled the other: take off both.
        self.dry = now + buffered - self.line.high + (self.frames - frames) / self.model.fps

    def delivered(self, block: int, frames: int, first: float, now: float) -> None:
        """A block has left, its first packet at `first`."""
        self.blocks, self.frames, self.served = block + 1, self.frames + frames, now
        self.sent[block] = (now, self.frames)
        while len(self.sent) > UNACKNOWLEDGED + 1:
            self.sent.popitem(last=False)
        self.dry = max(self.dry, first) + frames / self.model.fps


class Worker:
    """Serves the commands in `commands` until `stop`.

    emit is called with every event, from this thread and from the one that loads checkpoints.
    """

    def __init__(self, settings: Settings, device: str, emit: Callable[[m.Event], None]):
        self.settings, self.device, self.emit = settings, device, emit
        self.commands: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._plays: dict[str, _Play] = {}
        self._models: OrderedDict[str, Any] = OrderedDict()  # least recently used first
        self._loading: set[str] = set()
        self._one_load = threading.Lock()
        self._stopping = False

    def stop(self) -> None:
        """Make `run` return. May be called from any thread."""
        self.commands.put(None)

    def run(self) -> None:
        while not self._stopping:
            play, start = self._next(time.monotonic())
            self._obey(max(0.0, start - time.monotonic()))
            # Commands may have changed who is next; and they must be heard just before a block begins.
            play, start = self._next(time.monotonic())
            if play is not None and start <= time.monotonic():
                self._guard(play, self._make)

    def _obey(self, seconds: float) -> None:
        """Obey the commands that wait; if there are none, wait for one at most so long."""
        try:
            command = self.commands.get(timeout=None if math.isinf(seconds) else seconds)
            while True:
                self._command(command)
                command = self.commands.get_nowait()
        except queue.Empty:
            pass

    def _command(self, command: m.Command | _Loaded | None) -> None:
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
                play.release()
                play.attached, play.jpeg, play.want_key = True, command.jpeg, True
                play.acknowledged, play.dry = play.blocks, -math.inf
                play.sent.clear()
            case m.Detach():
                play.release()
                play.attached = False
            case m.SetInput():
                play.set_input(command.held, command.camera)
            case m.Acknowledge():
                play.acknowledge(command.block, command.buffer_ms / 1000, time.monotonic())
            case m.NeedKey():
                play.want_key = True

    def _next(self, now: float) -> tuple[_Play | None, float]:
        """The play whose block is to be made next, and when to begin: as late as all can be in time.

        Live plays go by the moment when their player runs dry. A track's block fills the time that they
        leave, and comes first when it has waited too long. Without a play, the moment is that to look again.
        """
        plays = [play for play in self._plays.values() if play.ready(now)]
        live = sorted((play for play in plays if play.live), key=lambda play: play.dry)
        start = math.inf
        for play in reversed(live):
            # A cost above the block's own playing time cannot be made up for by an earlier start.
            cost = min(play.cost.high, play.world.frames_next / play.model.fps)
            start = min(start, play.dry - MARGIN) - cost
        tracks = [play for play in plays if not play.live]
        if tracks:
            track = min(tracks, key=lambda play: play.served)
            if now + track.cost.high <= start or now - track.served > PATIENCE:
                return track, now
        again = min((p.opening for p in self._plays.values() if p.opening > now), default=math.inf)
        return (live[0], start) if live and start <= again else (None, again)

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
                model = load(checkpoint, device=self.device, progress=progress)
            self.commands.put(_Loaded(checkpoint, model, None))
        except Exception as error:
            log.exception("%s could not be loaded.", checkpoint)
            self.commands.put(_Loaded(checkpoint, None, error))

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
        mode, (height, width) = model.config.mode, model.size
        if order.track is not None and order.track.mode != mode:
            raise PlayError(
                f"This scenario is for {MODES[order.track.mode].title}, but {order.checkpoint} plays "
                f"{MODES[mode].title}: choose a checkpoint of the scenario's mode."
            )
        play.encoder = H264Encoder(width, height, model.fps)
        play.model, play.world = model, model.start(order.image, order.seed)
        play.opening = time.monotonic() + AUDIENCE
        self.emit(m.Ready(order.session, mode, width, height, model.fps))

    def _make(self, play: _Play) -> None:
        """Make, encode and send the next block."""
        session, began = play.order.session, time.monotonic()
        block, count = play.blocks, play.world.frames_next
        actions = play.sample(play.model.config.mode, count) if play.live else play.order.track.block(block)
        frames = play.world.step(actions)
        made = time.monotonic()
        late = max(0.0, made - play.dry) if play.live and math.isfinite(play.dry) else 0.0
        self.emit(
            m.Block(
                session=session,
                block=block,
                first_frame=play.frames,
                frames=count,
                keyboard=actions.keyboard,
                mouse=actions.mouse,
                made_ms=(made - began) * 1000,
                late_ms=late * 1000,
                timings={name: float(ms) for name, ms in play.world.timings.items()} | play.encoding,
            )
        )
        for i, frame in enumerate(frames):
            packet = play.encoder.encode(frame, key=play.want_key)
            play.want_key = False
            picture = jpeg(frame) if play.jpeg and play.attached else None
            self.emit(m.Frame(session, block, play.frames + i, packet, picture))
        now = time.monotonic()
        play.encoding = {"encode": (now - made) * 1000}
        play.cost.add(now - began)
        play.delivered(block, count, made, now)
        if not play.live and play.blocks == play.order.track.blocks:
            del self._plays[session]
            self.emit(m.Finished(session))


@dataclass(frozen=True)
class _Loaded:
    checkpoint: str
    model: Any
    error: Exception | None


class PlayError(ValueError):
    """A play that cannot be; the message is for the visitor."""


def sentence(error: Exception) -> str:
    """What to tell a visitor about an error: our own errors speak for themselves, others get a cure."""
    if type(error).__module__.partition(".")[0] == "mgdemo":
        return str(error)
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return (
            "The device ran out of memory. Wait until another play has ended, choose a smaller checkpoint, "
            "or let the operator lower MGDEMO_PLAYS."
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
                worker.commands.put(pickle.load(sys.stdin.buffer))
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)  # whoever wanted the blocks is gone; there is nothing to save here

    worker = Worker(*pickle.load(sys.stdin.buffer), emit)
    threading.Thread(target=read, name="commands", daemon=True).start()
    try:
        worker.run()
    except Exception:
        log.exception("The worker gives up.")
        os._exit(1)  # without waiting for a checkpoint that is being loaded
