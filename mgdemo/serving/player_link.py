"""The server's end of the connection to a visitor's player: what it was sent, and what it has answered."""

from __future__ import annotations

import math

from mgdemo import messages as m
from mgdemo.serving.inputs import Inputs
from mgdemo.serving.outbox import Outbox
from mgdemo.tree import BlockTree
from mgdemo.video.encode import codec_string, is_key
from mgdemo.worker.pace import UNACKNOWLEDGED


class PlayerLink:
    """One session's player: none yet, connected, or away. Guarded by the session's lock.

    `away_since` is infinite while a player is connected, `unanswered_since` while no answer is due.
    """

    def __init__(self, live: bool, now: float):
        self.live = live
        self.met = False  # a player has been connected
        self.away_since = now
        self.unanswered_since = math.inf
        self.active = math.inf  # when the visitor did something last, once there is a world to do it in
        self.codec = ""
        self.input: m.Input | None = None  # the latest of this connection
        self.rewind: m.Rewind | None = None  # the latest that was asked for while another is under way
        self.inputs = Inputs()  # that it has sent
        self._outbox: Outbox | None = None
        self._sent = self._acknowledged = 0  # blocks up to the head
        self._splice = 0  # from which frame on the block at hand is shown

    @property
    def connected(self) -> bool:
        return self._outbox is not None

    @property
    def behind(self) -> bool:
        """Whether a live session waits for the player to acknowledge blocks."""
        return self.live and self._sent - self._acknowledged > UNACKNOWLEDGED

    @property
    def holding(self) -> bool:
        """Whether the visitor holds a key, or turns the camera."""
        return self.input is not None and bool(self.input.held or any(self.input.camera))

    def is_from(self, outbox: Outbox) -> bool:
        return outbox is self._outbox

    def attach(self, outbox: Outbox, codec: str) -> None:
        """A player is connected; an earlier one is disconnected."""
        if self._outbox is not None:
            self._outbox.close(m.REPLACED, "The session continues in another window.")
        self._outbox, self.codec, self.input = outbox, codec, None
        self.inputs.forget()
        self.met, self.away_since = True, math.inf

    def detach(self, now: float, code: int, reason: str) -> None:
        """The player is gone, or is disconnected with a WebSocket close code and reason."""
        if self._outbox is not None:
            self._outbox.close(code, reason)
        self._outbox = self.input = None
        self.inputs.forget()
        self.away_since, self.unanswered_since = now, math.inf

    def welcome(self, ready: m.Ready, tree: BlockTree, **fields) -> None:
        """Tell the player what comes; it starts with nothing to acknowledge."""
        self._sent = self._acknowledged = tree.blocks
        self.unanswered_since = math.inf
        if self._outbox is None:
            return
        message = m.Welcome(
            codec=self.codec,
            codec_string=codec_string(ready.width, ready.height, ready.fps),
            width=ready.width,
            height=ready.height,
            fps=ready.fps,
            mode=ready.mode,
            notice=ready.notice,
            head=tree.head,
            nodes=[(number, node.parent, node.block) for number, node in tree.nodes.items() if node.actions],
            **fields,
        )
        self._outbox.text(message.model_dump_json())

    def block(self, message: m.BlockMessage, now: float) -> None:
        """Announce a block. Players don't acknowledge regenerated ones."""
        self._sent, self._splice = message.block + 1, message.splice or 0
        if self._outbox is None:
            return
        if message.splice is None:
            self.unanswered_since = min(self.unanswered_since, now)
        self._outbox.text(message.model_dump_json())

    def shows(self, frame: int) -> bool:
        """Whether the player gets a frame, too: those before a splice are for the recording only."""
        return frame >= self._splice

    def frames(self, event: m.Frames) -> None:
        if self._outbox is None:
            return
        payloads = event.h264 if self.codec == "h264" else event.jpeg or ()
        for frame, payload in enumerate(
            payloads, event.first
        ):  # no JPEG until the worker knows of the player
            key = self.codec == "jpeg" or is_key(payload)
            packet = m.video_packet(self.codec, key, frame, event.block, event.node, payload)
            self._outbox.frame(packet, key)

    def rewound(self, message: m.Rewound, picture: bytes) -> None:
        """What was sent before is stale; show where the session stands now."""
        self._sent = self._acknowledged = message.block + 1
        self._splice, self.unanswered_since = 0, math.inf
        if self._outbox is not None:
            self._outbox.text(message.model_dump_json())
            index = max(0, message.frames - 1)
            packet = m.video_packet("jpeg", True, index, message.block, message.node, picture)
            self._outbox.frame(packet, key=True)

    def excuse(self) -> None:
        """No answer is due: frames are missing that it would answer to."""
        self.unanswered_since = math.inf

    def expect(self, now: float) -> None:
        """They have been sent; it has to answer from now on."""
        if self.connected and self._sent > self._acknowledged:
            self.unanswered_since = now

    def acknowledge(self, block: int, now: float) -> bool:
        """A block has arrived; whether the engine is to know (else it was never sent, or was said before).

        After a pause the last block is acknowledged again, with what is buffered then.
        """
        again = block == self._sent - 1 < self._acknowledged
        if self._acknowledged <= block < self._sent:
            self._acknowledged = block + 1
            self.unanswered_since = now if self._sent > self._acknowledged else math.inf
            return self.live
        return again and self.live
