"""A session whose world is ready: what its engine makes and its player asks for."""

from __future__ import annotations

import time
from collections.abc import Callable

from mgdemo import messages as m
from mgdemo.serving.metrics import Metrics
from mgdemo.serving.player_link import PlayerLink
from mgdemo.serving.rate import Rate
from mgdemo.serving.recorder import Recorder
from mgdemo.serving.worker_link import WorkerLink
from mgdemo.tree import BlockTree


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
        self.worker, self._counts = WorkerLink(ready, send, link), counts
        self.rate = Rate(ready.fps)
        self.thumbnails: dict[int, bytes] = {}
        self.paused = self.standing = False
        self.rewinding: float | None = None  # the share of the way that is done
        self.warning: m.BlockMessage | None = None  # the last block's, if it carried one
        self.frames = 0  # that are there, up to the head

    @property
    def tree(self) -> BlockTree:
        return self.recorder.tree

    @property
    def seconds_recorded(self) -> float:
        """Of all branches together; a block whose frames are still on their way is not recorded yet."""
        tree = self.tree
        coming = len(tree[tree.head].actions or ()) if self.making(tree.head) else 0
        return (tree.all_frames - coming) / self.ready.fps

    def making(self, node: int) -> bool:
        """Whether a node is announced and its frames are on their way."""
        return node == self.tree.head and node in self.tree and node not in self.thumbnails

    # Its worker is lost

    def lost(self, now: float) -> bool:
        """Wait for a new worker; whether this one may have died of the session, as one did before."""
        self.rate.rest()
        return self.worker.lost(now)

    def left(self, now: float, *, died: bool) -> bool:
        """Its device was only lent, and is gone, or has `died`; as `lost`."""
        self.rate.rest()
        if not died:
            self.worker.flight.below = None  # nothing is to be suspected
        return self.worker.lost(now)

    def moved(self, send: Callable[[m.Command], None]) -> m.Past:
        """A new worker is chosen, and `send` reaches it: what it has to restore."""
        return self.worker.moved(send, self.tree, paused=self.paused)

    def ready_again(self) -> None:
        """The new worker listens."""
        self.worker.listens(paused=self.paused)

    def _restored(self, now: float) -> bool:
        self.link.active = now
        self.link.expect(now)
        self.rate.rest()
        self._counts.moves.inc()
        self.worker.restored()
        return True

    # Its player

    def attached(self, **fields) -> None:
        """A player is connected; `fields` are what `Welcome` says of the session."""
        self.link.active = time.monotonic()
        self.rate.rest()
        self.link.welcome(self.ready, self.tree, frames=self.length, paused=self.paused, **fields)
        if self.link.connected:
            self.worker.attach()

    def receive(self, message: m.ClientMessage) -> bool:
        """Handle a player's message; returns whether the status changes."""
        now, live = time.monotonic(), self.length is None
        match message:
            case m.KeyFrame():
                self.worker.tell(message)
            case m.Ack():
                was_behind = self.link.behind
                if self.link.acknowledge(message.block, now):
                    self.worker.tell(message)
                if self.worker.move is not None:
                    self.link.excuse()
                if was_behind and not self.link.behind:
                    self.rate.rest()
                    return True
            case _ if not live:
                pass  # a scenario is steered by its track; its page pauses by itself
            case m.Input():
                self.link.active = now
                if self.worker.steers(message) and not self.paused and self.rewinding is None:
                    self.link.inputs.heard(message.input_seq, now)
                self.worker.tell(message)
            case m.Pause(on=on):
                self.paused, self.link.active = on, now
                self.link.inputs.forget()
                self.rate.rest()
                self.worker.tell(message)
                return True
            case m.Step() if self.paused or self.standing:
                self.link.active = now
                self.worker.ask(message)
            case m.Rewind(node=node) if node in self.tree:
                self.link.active = now
                if self.rewinding is not None:
                    self.link.rewind = None if self.worker.is_asked(message) else message
                    return False
                self.rewinding = 0.0
                self.link.excuse()  # it drops what it left, unanswered
                self.link.inputs.forget()
                self.worker.ask(message)
                return True
        return False

    def handle(self, event: m.Event) -> bool:
        """Handle an event of the engine; returns whether the status changes."""
        match event:
            case m.Begun():
                self.worker.flight.begun(event.parent)
            case m.Frames():
                self.worker.flight.came += len(event.h264)
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
                self.worker.flight.made(self.tree[event.node].parent)
            case m.Standing():
                self.standing = True
                self.rate.rest()
                return True
            case m.Rewinding():
                self.rewinding, self.worker.flight.below = event.progress, None
                return True
            case m.Loading():
                self.worker.loading(event.progress)
            case m.Restoring() if self.worker.move is not None:
                self.worker.restoring(event.progress)
                self.worker.flight.repeated(self.tree[event.node].parent)
                return True
            case m.Restored():
                return self._restored(time.monotonic())
            case m.RewindDone(message=message):
                self.paused, self.standing, self.rewinding, self.warning = True, False, None, None
                self.worker.rewound()
                self.recorder.go(message.node)
                self.frames = message.frames
                self.rate.rest()
                self.link.rewound(message, event.picture)
                if self.link.rewind is not None:
                    self.rewinding = 0.0
                    self.worker.ask(self.link.rewind)
                    self.link.rewind = None
                return True
        return False

    def _block(self, event: m.Block) -> bool:
        message, now = event.message, time.monotonic()
        late, again = event.late_ms > 0, message.splice is not None
        self.worker.announced(event)
        self.recorder.block(message.node, message.parent, event.actions)
        self._count(event, now)
        if message.block and not again:  # the first one is shorter, and warms the device up
            self.rate.block(now, message.frames, message.made_ms, late)
        before = self.standing, self.warning
        self.standing, self.warning = False, message if message.warning else None
        self.link.block(message, now)
        if self.rewinding is not None:
            self.link.excuse()
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
