"""The phases of a session, one type each: Queued, Loading, Playing, Saving, Ended.

Each holds what is known in it, and nothing else. (`Playing` has a file of its own.)
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from mgdemo import messages as m
from mgdemo.serving.limits import QueueTurn
from mgdemo.serving.playing import Playing
from mgdemo.serving.recorder import Recorder
from mgdemo.video.films import Recording


@dataclass(frozen=True)
class Queued:
    """It waits for a place."""

    turn: QueueTurn


@dataclass(frozen=True)
class Loading:
    """It has a place; the engine loads its checkpoint and starts its world. tries: that have failed.
    began: when this one did, in seconds of the monotonic clock."""

    text: str = "Starting the engine"
    progress: float = 0.0
    tries: int = 0
    began: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class Saving:
    """It has ended and given its place away; its files are being written. head: where it stood."""

    outcome: m.Outcome
    text: str
    recorder: Recorder
    head: int
    frames: int


@dataclass(frozen=True)
class Ended:
    """It is over. recording: its files, None if there is nothing to keep."""

    outcome: m.Outcome
    text: str
    recording: Recording | None = None
    frames: int = 0

    def message(self) -> m.End:
        return m.End(phase=self.outcome, text=self.text, recording=self.recording is not None)


Phase = Queued | Loading | Playing | Saving | Ended
