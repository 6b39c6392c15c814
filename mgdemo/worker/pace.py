"""When a session's next block is due, by what the worker knows of the visitor's player."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field

from mgdemo.blocks import FPS, FRAMES_PER_LATENT, frames_in_blocks

MARGIN = 0.015  # seconds by which a live block is to be early
UNACKNOWLEDGED = 3  # blocks; above, a live session waits for its visitor
FASTEST = 1.25  # times the normal speed, at which a player shows frames at most
BURST = 2.0  # seconds of showing that a session may be ahead of the clock, as by rewinding again and again


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


@dataclass(frozen=True)
class Splice:
    """frame: the first video frame that would change if the last block were regenerated now. until: the last
    moment for that; later, the change would begin one latent frame after it."""

    frame: int
    until: float


@dataclass
class Pace:
    """Times are seconds of the monotonic clock. `blocks` and `frames` are those of the branch so far."""

    fps: int = FPS
    blocks: int = 0
    frames: int = 0
    acknowledged: int = 0  # blocks
    served: float = -math.inf  # when its last block was done, or it began
    dry: float = -math.inf  # when its next block must leave, or the player runs dry
    earliest: float = -math.inf  # the player cannot run dry before this, whatever it reports
    used: float = -math.inf  # when all video ever sent would end at FASTEST
    first: Estimate = field(default_factory=Estimate)  # of a block, until its first packet has left
    cost: Estimate = field(default_factory=Estimate)  # and until its last one has
    round_trip: Estimate = field(default_factory=Estimate)  # from a block's last packet to its acknowledgment
    _sent: OrderedDict[int, tuple[float, int]] = field(default_factory=OrderedDict)  # when, and frames so far

    @property
    def behind(self) -> bool:
        """Whether the player still has too many blocks to take."""
        return self.blocks - self.acknowledged > UNACKNOWLEDGED

    @property
    def opens(self) -> float:
        """When its next block may begin: whatever a visitor does, no session gets more than its share."""
        return self.used - BURST

    def expected(self, frames: int) -> tuple[float, float]:
        """Seconds from the start of a block of so many frames until its first one has left, and its last."""
        most = max(frames / self.fps, self.cost.mean)  # one slow block is no reason to begin far too early
        return min(self.first.high, most), min(self.cost.high, most)

    def late(self, made: float) -> float:
        """Seconds by which a block that was made then missed its moment."""
        return max(0.0, made - self.dry) if math.isfinite(self.dry) else 0.0

    def early(self, made: float) -> float:
        """Seconds by which a block that was made then is earlier than it has to be."""
        return max(0.0, self.dry - MARGIN - made) if math.isfinite(self.dry) else 0.0

    def delivered(self, frames: int, first: float, now: float) -> None:
        """The next block has left, its first packet at `first`."""
        self.blocks, self.frames, self.served = self.blocks + 1, self.frames + frames, now
        self._sent[self.blocks - 1] = (now, self.frames)
        while len(self._sent) > UNACKNOWLEDGED + 1:
            self._sent.popitem(last=False)
        self.dry = max(self.dry, first) + frames / self.fps
        least = frames / self.fps / FASTEST
        self.earliest, self.used = max(self.earliest, first) + least, max(self.used, first) + least

    def acknowledge(self, block: int, buffered: float, now: float) -> None:
        """Block `block` is there and the player has `buffered` seconds left: when will it run dry?"""
        if block not in self._sent:
            return
        sent_at, frames = self._sent[block]
        if block >= self.acknowledged:  # else it is repeated, after a pause
            self.acknowledged = block + 1
            self.round_trip.add(min(1.0, now - sent_at))
        # The next packet travels one way and this acknowledgment has traveled the other: take off both.
        self.dry = now + buffered - self.round_trip.high + (self.frames - frames) / self.fps
        self.dry = max(self.dry, self.earliest - self.round_trip.high)

    def splice(self, now: float) -> Splice | None:
        """Where the last block would change if it were regenerated now: where the next latent frame begins
        that the player will hardly have shown by then. (If it has, it continues with the frames after those.
        So this needs no margin.)"""
        if not math.isfinite(self.dry):
            return None
        first = frames_in_blocks(self.blocks - 1)
        for frame in range(max(1, first), self.frames, FRAMES_PER_LATENT):
            until = self.dry - (self.frames - frame) / self.fps - (self.first.mean + self.cost.mean) / 2
            if now <= until:
                return Splice(frame, until)
        return None

    def reset_to(self, blocks: int, frames: int) -> None:
        """The player has shown all of so many blocks, and nothing is on its way to it."""
        self.blocks = self.acknowledged = blocks
        self.frames, self.dry, self.earliest = frames, -math.inf, -math.inf
        self._sent.clear()
