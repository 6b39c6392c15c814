"""A session whose world is ready: what its engine makes and its player asks for."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from mgdemo import messages as m
from mgdemo.actions import MODES
from mgdemo.serving.metrics import Metrics
from mgdemo.serving.moving import Flight, Move
from mgdemo.serving.player_link import PlayerLink
from mgdemo.serving.recorder import Recorder
from mgdemo.tree import BlockTree

MOVE_SECONDS = 180.0  # without progress, after which a move is given up: starting and loading take a while
SLOW = 0.95  # of the nominal frame rate


class Rate:
    """How quickly blocks are made, over the last few."""

    def __init__(self, fps: int):
        self._nominal = fps
        self._recent: deque[tuple[float, int, bool]] = deque(maxlen=6)  # blocks: when, frames, too slow?

    def rest(self) -> None:
        """A pause begins or ends: it says nothing about the device."""
        self._recent.clear()

    def block(self, now: float, frames: int, made_ms: float, late: bool) -> None:
        # A player that has slowed down gets even slow blocks in time.
        self._recent.append((now, frames, late or made_ms > 1000 * frames / self._nominal))

    @property
    def fps(self) -> float | None:
        """Frames made per second, if that is known."""
        if len(self._recent) < 3:
            return None
        seconds = self._recent[-1][0] - self._recent[0][0]
        return sum(frames for _, frames, _ in list(self._recent)[1:]) / max(seconds, 1e-3)

    @property
    def slow(self) -> bool:
        """Whether the device makes fewer frames than are shown at normal speed."""
        fps = self.fps
        return fps is not None and fps < SLOW * self._nominal and all(slow for _, _, slow in self._recent)


class Playing:
    """A phase of a session: blocks are made, recorded and shown. Guarded by the session's lock.

    send: gives a command to the engine; length: of a scenario in frames, None in live sessions; counts:
    where the service counts blocks and frames.
    """

    def __init__(
        self,
        ready: m.Ready,
        send: Callable[[m.Command], None],
        link: PlayerLink,
        recorder: Recorder,
        counts: Metrics,
        length: int | None,
    ):
        self.ready, self.link, self.recorder, self.length = ready, link, recorder, length
        self._send, self._counts = send, counts
        self.rate = Rate(ready.fps)
        self.thumbnails: dict[int, bytes] = {}
        self.paused = self.standing = False
        self.rewinding: float | None = None  # the share of the way that is done
        self.warning: m.BlockMessage | None = None  # the last block's, if it carried one
        self.frames = 0  # that are there, up to the head
        self.flight = Flight()
        self.move: Move | None = None  # while it has no worker, or a new one restores it
        self._wish: m.Step | m.Rewind | None = None  # that no worker has fulfilled yet

    @property
    def tree(self) -> BlockTree:
        return self.recorder.tree

    @property
    def seconds_recorded(self) -> float:
        """Of all branches together."""
        return sum(len(node.actions or ()) for node in self.tree.nodes.values()) / self.ready.fps

    def making(self, node: int) -> bool:
        """Whether a node is announced and its frames are on their way."""
        return node == self.tree.head and node in self.tree and node not in self.thumbnails

    # Its worker is lost

    def lost(self, now: float) -> bool:
        """Wait for a new worker; whether this one may have died of the session, as one did before."""
        self.move = Move(self.move.since if self.move else now)
        self.rate.rest()
        self.link.excuse()
        return self.flight.lost()

    def stranded(self, now: float) -> bool:
        """Whether it has waited too long for a new worker."""
        return self.move is not None and now - self.move.since > MOVE_SECONDS

    def moved(self, send: Callable[[m.Command], None]) -> m.Past:
        """A new worker is chosen, and `send` reaches it: what it has to restore."""
        assert self.move is not None
        attached, jpeg = self.link.connected, self.link.codec == "jpeg"
        past = self.flight.past(self.tree, paused=self.paused, attached=attached, jpeg=jpeg)
        self._send, self.move.told, self.move.arrived = send, past, False
        return past

    def ready_again(self) -> None:
        """The new worker listens: what has changed since it was told."""
        move = self.move
        if move is None or move.told is None:
            return
        move.listening = True
        if move.arrived and self.link.connected:
            self._attach()
        elif move.told.attached and not self.link.connected:
            self.detached()
        if move.told.paused != self.paused:
            self._tell(m.Pause(on=self.paused))
        if self.link.input is not None:
            self._tell(self.link.input)

    def _restored(self, now: float) -> bool:
        self.move = None
        self.link.active = now
        self.link.expect(now)
        self.rate.rest()
        self._counts.moves.inc()
        if self._wish is not None:
            self._tell(self._wish)
        return True

    def attached(self, **fields) -> None:
        """A player is connected; `fields` are what `Welcome` says of the session."""
        self.link.active = time.monotonic()
        self.rate.rest()
        self.link.welcome(self.ready, self.tree, frames=self.length, paused=self.paused, **fields)
        if self.link.connected:
            self._attach()
            if self.link.input is not None:
                self._tell(self.link.input)

    def detached(self) -> None:
        if self._heard:
            self._send(m.Detach(session=self.ready.session))

    def _attach(self) -> None:
        if self._heard:
            self._send(m.Attach(session=self.ready.session, jpeg=self.link.codec == "jpeg"))
        elif self.move is not None:
            self.move.arrived = True

    @property
    def _heard(self) -> bool:
        """Whether there is a worker that listens."""
        return self.move is None or self.move.listening

    def receive(self, message: m.ClientMessage) -> bool:
        """Handle a player's message; returns whether the status changes."""
        now, live = time.monotonic(), self.length is None
        match message:
            case m.KeyFrame():
                self._tell(message)
            case m.Ack():
                was_behind = self.link.behind
                if self.link.acknowledge(message.block, now):
                    self._tell(message)
                if self.move is not None:
                    self.link.excuse()
                if was_behind and not self.link.behind:
                    self.rate.rest()
                    return True
            case _ if not live:
                pass  # a scenario is steered by its track; its page pauses by itself
            case m.Input():
                self.link.active = now
                steers = self._known(message).held or any(message.camera)  # else no block may come for it
                if steers and not self.paused and self.rewinding is None:
                    self.link.inputs.heard(message.input_seq, now)
                self._tell(message)
            case m.Pause(on=on):
                self.paused, self.link.active = on, now
                self.link.inputs.forget()
                self.rate.rest()
                self._tell(message)
                return True
            case m.Step() if self.paused or self.standing:
                self.link.active = now
                self._ask(message)
            case m.Rewind(node=node) if node in self.tree:
                self.link.active = now
                if self.rewinding is not None:
                    self.link.rewind = message
                    return False
                self.rewinding = 0.0
                self.link.inputs.forget()
                self._ask(message)
                return True
        return False

    def handle(self, event: m.Event) -> bool:
        """Handle an event of the engine; returns whether the status changes."""
        match event:
            case m.Begun():
                self.flight.begun(event.parent)
            case m.Frames():
                self.flight.came += len(event.h264)
                digests = event.digests or (b"",) * len(event.h264)
                for frame, packet in enumerate(zip(event.h264, digests, strict=True), event.first):
                    self.recorder.frame(event.node, frame, *packet)
                if self.link.shows(event.first):
                    self.frames = event.first + len(event.h264)
                    self.link.frames(event)
            case m.Block():
                return self._block(event)
            case m.Thumbnail():
                self.thumbnails[event.node] = event.picture
                self.flight.made(self.tree[event.node].parent)
            case m.Standing():
                self.standing = True
                self.rate.rest()
                return True
            case m.Rewinding():
                self.rewinding, self.flight.below = event.progress, None
                return True
            case m.Restoring() if self.move is not None:
                self.move.progress, self.move.since = event.progress, time.monotonic()
                self.flight.repeated(self.tree[event.node].parent)
                return True
            case m.Restored():
                return self._restored(time.monotonic())
            case m.RewindDone(message=message):
                self.paused, self.standing, self.rewinding, self.warning = True, False, None, None
                self._wish, self.flight.below = None, None
                self.recorder.go(message.node)
                self.frames = message.frames
                self.rate.rest()
                self.link.rewound(message, event.picture)
                if self.link.rewind is not None:
                    self.rewinding = 0.0
                    self._ask(self.link.rewind)
                    self.link.rewind = None
                return True
        return False

    def _block(self, event: m.Block) -> bool:
        message, now = event.message, time.monotonic()
        late, again = event.late_ms > 0, message.splice is not None
        self.flight.announced(event)
        self._wish = None if isinstance(self._wish, m.Step) else self._wish
        self.recorder.block(message.node, message.parent, event.actions)
        self._count(event, now)
        if message.block and not again:  # the first one is shorter, and warms the device up
            self.rate.block(now, message.frames, message.made_ms, late)
        before = self.standing, self.warning
        self.standing, self.warning = False, message if message.warning else None
        self.link.block(message, now)
        return self.link.behind or before != (self.standing, self.warning)

    def _count(self, event: m.Block, now: float) -> None:
        counts, message = self._counts, event.message
        if message.splice is None:
            counts.blocks.inc()
            counts.lateness.observe(event.late_ms / 1000)
        else:
            counts.regenerated.inc()
        counts.frames.inc(message.frames)
        for seconds in self.link.inputs.obeyed(message.input_seq, now):
            counts.latency.observe(seconds)

    def _ask(self, wish: m.Step | m.Rewind) -> None:
        """Tell it now, or when the world stands where it stood."""
        self._wish = wish
        if self.move is None:
            self._tell(wish)

    def _known(self, message: m.Input) -> m.Input:
        """Only what can be held in this mode; a worker keeps what was pressed until it makes a block."""
        mode = MODES[self.ready.mode]
        held = tuple(control.spelled(key) for key in message.held if (control := mode.control(key)))
        return message.model_copy(update={"held": held})

    def _tell(self, message: m.WorldMessage) -> None:
        if not self._heard:
            return
        if isinstance(message, m.Input):
            message = self._known(message)
        self._send(m.ToSession(session=self.ready.session, message=message))
