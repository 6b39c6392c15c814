"""What a device does next, and when: a pure function of what is known of its sessions.

Live sessions go by the moment when their player runs dry: earliest deadline first, each block as late as all
of them can still be in time. What is not urgent fills the time that they leave: blocks regenerated, since
somebody has just pressed a key; then scenarios and rewinding, which come first when they have waited long.
While a key waits for another session's block to be out of the way, that block is made at once: a device that
idles until the last moment keeps the key waiting for nothing. And where a device idles much, the blocks of
several sessions are made so early that a key seldom meets one that cannot wait. A key that comes after such a
block costs one more regeneration, and no time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mgdemo.blocks import BLOCK_FRAMES, FPS
from mgdemo.worker.pace import MARGIN, Splice

BUSY = 0.6  # of a block's time: with more to do than that, regenerations would find no room
PATIENCE = 2.0  # seconds after which a job without a deadline no longer gives way to live sessions


class Job(Enum):
    BLOCK = "make the next block"
    REGENERATE = "make the last block again, under newer input"
    REPEAT = "make one of the blocks between a snapshot and where the session rewinds to, or was before"


@dataclass(frozen=True)
class Turn:
    """What one session could do next. Times are seconds, moments those of the monotonic clock.

    due: when its player runs dry; None if nobody waits for it (a scenario, or rewinding)
    first, cost: expected from its start until its first frame has left, and its last one
    longest: what it may take at worst
    served: when its last job was done, or when it began
    opens: it can begin from then on
    patience: seconds for which it gives way to live sessions, if nobody waits for it
    splice: where its last block would change if it were regenerated now; None if it cannot be
    background: it never holds up live sessions, however long it waits
    """

    session: str
    job: Job = Job.BLOCK
    due: float | None = None
    first: float = 0.0
    cost: float = 0.0
    longest: float = 0.0
    served: float = -math.inf
    opens: float = -math.inf
    patience: float = PATIENCE
    splice: Splice | None = None
    background: bool = False


@dataclass(frozen=True)
class Decision:
    """The next job and when to begin it; without a session, when to look again. splice: a video frame."""

    start: float
    session: str | None = None
    job: Job = Job.BLOCK
    splice: int | None = None


def decide(turns: Sequence[Turn], now: float) -> Decision:
    """The job that comes next: at once where nobody waits for it, a live block as late as possible."""
    ready = [turn for turn in turns if turn.opens <= now]
    live = sorted(((turn.due, turn) for turn in ready if turn.due is not None), key=lambda item: item[0])
    start = math.inf
    for due, turn in reversed(live):
        start = min(due - MARGIN - turn.first, start - turn.cost)
    changed = [(turn.splice, turn) for _, turn in live if turn.splice is not None]
    for splice, turn in sorted(changed, key=lambda item: item[0].until):
        if now + turn.longest <= start:
            return Decision(now, turn.session, Job.REGENERATE, splice.frame)
    if any(turn is not live[0][1] for _, turn in changed):
        start = min(now, start)
    latest = start
    start = min(latest, max(now, latest - _early([turn for _, turn in live])))
    patient = [turn for turn in ready if turn.due is None]
    if patient:
        turn = min(patient, key=lambda turn: (turn.background, turn.served))
        hurried = not turn.background and now - turn.served > turn.patience
        if now + turn.longest <= latest or hurried:
            return Decision(now, turn.session, turn.job)
    look = min((turn.opens for turn in turns if turn.opens > now), default=math.inf)
    return Decision(start, live[0][1].session) if live and start <= look else Decision(look)


def _early(live: Sequence[Turn]) -> float:
    """Seconds before the latest moment at which the first block of several sessions begins: time for two
    regenerations, if the device has it."""
    if len(live) < 2 or sum(turn.cost for turn in live) > BUSY * BLOCK_FRAMES / FPS:
        return 0.0
    return 2 * max(turn.longest for turn in live[1:])
