"""Regenerating a session's head: made again under what is held now, its shown frames untouched."""

from __future__ import annotations

import time

from mgdemo import messages as m
from mgdemo.worker.delivery import Delivery
from mgdemo.worker.rewind import Emit
from mgdemo.worker.sessions import Playing


def regenerate_head(session: Playing, splice: int, emit: Emit, delivery: Delivery) -> None:
    """splice: the first frame that players have not shown."""
    began, tree = time.monotonic(), session.history.tree
    emit(m.Begun(session=session.session, parent=tree[tree.head].parent))
    frames, input_seq = session.regenerate(splice), session.input.input_seq
    session.player.wants_key = True  # it does not follow what was encoded last
    delivery.send(session, [frames], began, input_seq=input_seq, splice=splice)
