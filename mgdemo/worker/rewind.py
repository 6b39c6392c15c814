"""Rewinding a session: to the nearest snapshot at once, from there block by block, one per turn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

from mgdemo import messages as m
from mgdemo.video.encode import jpeg
from mgdemo.worker.sessions import Playing, Restoring, Rewinding

Emit = Callable[[m.Event], None]


def rewind(session: Playing, node: int, emit: Emit) -> None:
    """Begin to rewind to a node, if it exists. The session is paused from now on."""
    restoring = isinstance(session.repeating, Restoring)  # the service asks for it when that is done
    if restoring or not session.live or node not in session.history.tree:
        return
    session.history.snapshot()
    way = session.history.rewind(node)
    session.pausing.on, session.pausing.steps, session.player.wants_key = True, 0, True
    session.repeating = Rewinding(deque(way), len(way))
    session.input.release()
    if not way:
        arrive(session, emit)


def repeat_block(session: Playing, emit: Emit) -> np.ndarray | None:
    """Make one of the blocks between again, now the head; its frames, if they are exact."""
    began, repeating = time.monotonic(), session.repeating
    assert repeating is not None
    node = repeating.way.popleft()
    emit(m.Begun(session=session.session, parent=session.history.tree[node].parent))
    frames = session.history.repeat(node, len(repeating.way))
    session.pace.served = time.monotonic()
    if frames is not None:  # else it was quicker than a block is
        session.pace.cost.add(session.pace.served - began)
    return frames


def rewind_on(session: Playing, emit: Emit) -> None:
    """Make one of the blocks between again; after the last one, arrive."""
    repeat_block(session, emit)
    assert session.repeating is not None
    emit(m.Rewinding(session=session.session, progress=session.repeating.progress))
    if not session.repeating.way:
        arrive(session, emit)


def arrive(session: Playing, emit: Emit) -> None:
    """The session stands where it should, paused; its player gets the picture there."""
    session.repeating = None
    session.pausing.on, session.pausing.steps = True, 0
    session.reset_to_head()
    tree = session.history.tree
    message = m.Rewound(node=tree.head, block=tree.blocks - 1, frames=tree.frames)
    emit(m.RewindDone(session=session.session, message=message, picture=jpeg(session.history.picture)))
