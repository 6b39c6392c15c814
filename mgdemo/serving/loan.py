"""How a session stands with a device that it is lent for a while, and what its visitor reads of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mgdemo import messages as m
from mgdemo.serving.limits import QueueTurn, duration, queue_text
from mgdemo.serving.request import SessionRequest
from mgdemo.settings import Settings

ASK_SECONDS = 30.0  # that a page has to ask for the device, once there is one for it
AWAY_SECONDS = 5.0  # without its player, after which a session gives the device back
ASKING = "Asking for a GPU"
NOT_ASKED = "The page did not ask for a GPU in time"
# A run's estimated seconds: until its first frame, and then by the frames that are made a second.
STARTING, USUAL_FPS, RESERVE = 20.0, 16.0, 1.25


@dataclass
class Loan:
    """From when a session has a place until it rests.

    asked: its page has asked for the device. until: the moment when it has to be given back, once there.
    rest: why there is none now, in a sentence, until the visitor wants one again; turn: in the queue for it.
    """

    asked: bool = False
    until: float | None = None
    rest: str = ""
    turn: QueueTurn | None = None

    def ask(self) -> bool:
        """Its page asks for the device; whether it is the first time."""
        first, self.asked = not self.asked, True
        return first

    def unused(self, session: str, waited: float, away: float) -> m.Left | None:
        """Why it is given back without a word, if so: nobody has asked for it for so many seconds, or its
        player has been away for so many."""
        if not self.asked and waited > ASK_SECONDS:
            return m.Left(session=session, reason="refused", text=NOT_ASKED)
        return m.Left(session=session, reason="gone") if away > AWAY_SECONDS else None

    def status(self, now: float, made: m.Status) -> m.Status:
        """What is said of a session that has begun, beside or instead of what is `made` for it."""
        if self.rest:
            return made.model_copy(update={"phase": "buffering", "text": self.rest, "lease": "over"})
        if self.until is not None:
            return made.model_copy(update={"lease_seconds": max(0.0, self.until - now)})
        if self.turn is not None:
            queued = {"text": queue_text(self.turn, now), "position": self.turn.position}
            return made.model_copy(update={"phase": "buffering"} | queued)
        wanted = None if self.asked else "wanted"
        phase = "loading" if made.phase == "loading" else "buffering"
        return made.model_copy(update={"phase": phase, "text": ASKING, "lease": wanted})


def run_seconds(frames: int, fps: float | None) -> int:
    """For how many seconds a run of so many frames needs a device; fps: that were made a second, if known."""
    return math.ceil(STARTING + RESERVE * frames / (fps or USUAL_FPS))


def seconds_needed(request: SessionRequest, made: int, settings: Settings, fps: float | None) -> int:
    """For how many seconds a session of which so many frames are made asks for a device. fps: see above."""
    return settings.lease_seconds if request.track is None else run_seconds(len(request.track) - made, fps)


def why_it_rests(left: m.Left, seconds: float) -> str:
    """seconds: that a device is lent for at once."""
    said = left.text.rstrip(". ")
    match left.reason:
        case "over":
            return f"Your {duration(seconds)} on the GPU are over. Press Go on for more in the same world."
        case "gone":
            return "Your page has given the GPU back. Press Go on to continue in the same world."
        case "refused":
            return f"{said or 'No GPU is free'}. Press Go on to try again; your world is kept meanwhile."
        case "died":
            return f"The GPU was lost ({said or 'it stopped'}). Press Go on to continue where you were."


def why_it_ends(left: m.Left) -> str:
    """Where nothing was shown yet, or nobody is there who could go on."""
    said = left.text.rstrip(". ")
    match left.reason:
        case "over":
            return "The GPU's time was over before the world had begun: press Start to try again."
        case "refused":
            return f"{said or 'No GPU is free'}. Press Start to try again, now or later."
        case _:
            return f"The GPU was lost ({said or 'it was given back'}): press Start to try again."
