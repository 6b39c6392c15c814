"""A block's way out of the worker: announced, encoded and sent frame by frame, as its pieces are made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np

from mgdemo import messages as m
from mgdemo.actions import MODES, ActionTrack
from mgdemo.video.digest import frame_digest
from mgdemo.video.encode import jpeg, thumbnail
from mgdemo.worker.sessions import Making, Playing

BATCH = 4  # video frames sent at once: fewer cost more messages, more leave late for a waiting player


class Delivery:
    """Sends blocks as events. A worker has one, because the blocks of all its sessions share a device."""

    def __init__(self, emit: Callable[[m.Event], None]):
        self._emit = emit
        self._done = -float("inf")  # when the last block of any session was
        self._beside = ThreadPoolExecutor(1, "digests")  # neither hashing nor encoding holds Python's lock

    def deliver(self, session: Playing, making: Making, pieces: Iterator[np.ndarray]) -> None:
        """Add a block to the tree as soon as its first piece is there, and send it. pieces: of `making`."""
        pieces, pace = chain([next(pieces)], pieces), session.pace
        made = time.monotonic()
        session.history.tree.add(making.actions)
        late, early = pace.late(made), pace.early(made)
        if not session.live:
            late = early = 0.0
        self.send(session, pieces, making.began, input_seq=making.input_seq, late=late, early=early)
        pace.delivered(len(making.actions), made, time.monotonic())

    def send(
        self,
        session: Playing,
        pieces: Iterable[np.ndarray],
        began: float,
        *,
        input_seq: int,
        late: float = 0.0,
        early: float = 0.0,
        splice: int | None = None,
    ) -> None:
        """Announce the head's block; encode and send its frames, in pieces as they are made.

        With `splice` it was regenerated, and players have seen its frames before that one.
        """
        tree, pace = session.history.tree, session.pace
        head, node = tree.head, tree[tree.head]
        assert node.actions is not None
        held, camera = shown(node.actions, session.live)
        rewind_to = session.soundness.rewind_to(tree, node.parent) if session.live else None
        message = m.BlockMessage(
            node=head,
            parent=node.parent,
            block=node.block,
            first_frame=node.first_frame,
            frames=len(node.actions),
            splice=splice,
            input_seq=input_seq,
            held=held,
            camera=camera,
            made_ms=round(pace.cost.mean * 1000, 1),
            early_ms=round(early * 1000, 1),
            timings=session.account.timings,
            warning=None if rewind_to is None else "collapsed",
            rewind_to=rewind_to,
        )
        event = m.Block(session=session.session, message=message, actions=node.actions, late_ms=late * 1000)
        self._emit(event)
        self._frames(session, pieces, began, splice)

    def finish(self, session: Playing, frames: np.ndarray, began: float, unfinished: m.Unfinished) -> None:
        """Send what is missing of the head's block, which was announced by a worker that was lost."""
        self._frames(session, [frames], began, unfinished.splice, unfinished.sent)

    def _frames(
        self,
        session: Playing,
        pieces: Iterable[np.ndarray],
        began: float,
        splice: int | None,
        sent: int = 0,
    ) -> None:
        """Encode and send the head's frames; the first `sent` of them, in this order, have been sent."""
        pace, head = session.pace, session.history.tree.head
        node = session.history.tree[head]
        first, encoding = node.first_frame, 0.0

        def encode(frames: np.ndarray, start: int, shown: bool = True) -> None:
            nonlocal encoding, sent
            there = min(sent, len(frames))
            frames, start, sent = frames[there:], start + there, sent - there
            begin = time.monotonic()
            for at in range(0, len(frames), BATCH):
                self._batch(session, frames[at : at + BATCH], start + at, shown)
            encoding += time.monotonic() - begin

        index, seen = first, splice - first if splice else 0
        for frames in pieces:
            fresh = frames[seen:]
            if index == first:  # the first one by itself: a visitor waits for it
                encode(fresh[:1], index + seen)
                pace.first.add(time.monotonic() - began)
                encode(fresh[1:], index + seen + 1)
            else:
                encode(fresh, index + seen)
            index += len(frames)
            session.history.picture = frames[-1]
            if seen:  # for the recording: what the player has shown already, as it would have been
                session.player.wants_key = True
                encode(frames[:seen], first, shown=False)
                session.player.wants_key = True  # again, since the stream does not continue from here
        left = time.monotonic()
        session.soundness.add(head, session.history.picture)
        session.history.keep(session.soundness.decay(head))
        picture = thumbnail(session.history.picture)
        self._emit(m.Thumbnail(session=session.session, node=head, picture=picture))
        timings, now = session.world.timings | {"encode": encoding * 1000}, time.monotonic()
        alone = max(began, self._done)  # before that, the device was busy with other sessions
        session.account.add(timings, len(node.actions or ()), now - alone)
        pace.cost.add(left - alone)
        self._done = now

    def _batch(self, session: Playing, frames: np.ndarray, start: int, shown: bool) -> None:
        """Encode and send some frames of the head's block; the player shows them if they are `shown`."""
        packets, digests = [], self._beside.submit(lambda: tuple(map(frame_digest, frames)))
        for frame in frames:
            packets.append(session.encoder.encode(frame, key=session.player.wants_key))
            session.player.wants_key = False
        pictures = session.player.jpeg and session.player.attached and shown
        tree = session.history.tree
        self._emit(
            m.Frames(
                session=session.session,
                node=tree.head,
                block=tree[tree.head].block,
                first=start,
                h264=tuple(packets),
                jpeg=tuple(map(jpeg, frames)) if pictures else None,
                digests=digests.result(),
            )
        )


def shown(actions: ActionTrack, live: bool) -> tuple[tuple[str, ...], tuple[float, float] | None]:
    """The controls to show as held with a block, and the camera: the latest, or those in the middle of it."""
    row = len(actions) - 1 if live else len(actions) // 2
    mouse = None if actions.mouse is None else actions.mouse[row]
    held = MODES[actions.mode].held(actions.keyboard[row], mouse)
    return held, None if mouse is None else (float(mouse[0]), float(mouse[1]))
