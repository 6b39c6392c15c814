"""Rewinding a session: to the nearest snapshot at once, from there block by block, one per turn."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from mgdemo import messages as m
from mgdemo.video.encode import jpeg
from mgdemo.worker.sessions import Playing, Rewinding

Emit = Callable[[m.Event], None]


def rewind(session: Playing, node: int, emit: Emit) -> None:
    """Begin to rewind to a node, if it exists. The session is paused from now on."""
    if not session.live or node not in session.history.tree:
        return
    session.history.mark()
    way = session.history.rewind(node)
    session.pausing.on, session.pausing.steps, session.player.wants_key = True, 0, True
    session.rewinding = Rewinding(deque(way), len(way))
    session.input.release()
    if not way:
        arrive(session, emit)


def repeat_block(session: Playing, emit: Emit) -> None:
    """Make one of the blocks between again."""
    began, rewinding = time.monotonic(), session.rewinding
    assert rewinding is not None
    session.history.repeat(rewinding.way.popleft())
    session.pace.served = time.monotonic()
    session.pace.cost.add(session.pace.served - began)
    progress = 1 - len(rewinding.way) / rewinding.length
    emit(m.Rewinding(session=session.session, progress=progress))
    if not rewinding.way:
        arrive(session, emit)


def arrive(session: Playing, emit: Emit) -> None:
    """The session stands where it should; its player gets the picture there."""
    session.rewinding = None
    session.reset_to_head()
    tree = session.history.tree
    message = m.Rewound(node=tree.head, block=tree.blocks - 1, frames=tree.frames)
    emit(m.RewindDone(session=session.session, message=message, picture=jpeg(session.history.picture)))
