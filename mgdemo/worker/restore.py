"""Restoring a session whose worker was lost: its blocks are made again, unseen, up to where it stood.

They are a pure function of image, seed and actions, so the world is the same, and so is all that follows. Of
a block that was on its way, the player gets the frames that it lacks.
"""

from __future__ import annotations

import time
from collections import deque

from mgdemo import messages as m
from mgdemo.tree import START
from mgdemo.worker.delivery import Delivery
from mgdemo.worker.rewind import Emit, arrive, repeat_block
from mgdemo.worker.sessions import Playing, Restoring


def begin_to_restore(session: Playing, past: m.Past, emit: Emit) -> None:
    """Take up a past. Raises ValueError for one that is no tree."""
    tree = past.tree()
    way = tree.path(tree.head)
    tree.head, session.history.tree = START, tree
    session.pausing.on = past.paused
    session.player.attached, session.player.jpeg = past.attached, past.jpeg
    session.repeating = Restoring(deque(way), len(way), past.unfinished)
    if not way:
        _restored(session, emit)


def restore_on(session: Playing, emit: Emit, delivery: Delivery) -> None:
    """Make the next block of the past again; after the last one, the session goes on."""
    restoring, history, began = session.repeating, session.history, time.monotonic()
    assert isinstance(restoring, Restoring)
    frames, head = repeat_block(session, emit), history.tree.head
    if frames is not None:
        session.soundness.add(head, history.picture)
    elif history.spool is not None:
        session.soundness.know(head, history.spool.decay(head))
    history.snapshot()
    emit(m.Restoring(session=session.session, node=head, progress=restoring.progress))
    if restoring.way:
        return
    assert frames is not None
    session.reset_to_head()
    if (unfinished := restoring.unfinished) is not None:
        if unfinished.splice is None:  # the player has not acknowledged it yet
            session.pace.reset_to(history.tree.blocks - 1, history.tree[head].first_frame)
        delivery.finish(session, frames, began, unfinished)
        if unfinished.splice is None:
            session.pace.delivered(len(frames), began, time.monotonic())
    _restored(session, emit)


def _restored(session: Playing, emit: Emit) -> None:
    restoring, session.repeating = session.repeating, None
    emit(m.Restored(session=session.session))
    if isinstance(restoring, Restoring) and restoring.show and session.pausing.on:
        arrive(session, emit)
