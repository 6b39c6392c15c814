"""What engines say whose devices are only lent, beside their workers' events."""

from __future__ import annotations

from typing import Literal

from mgdemo.messages.browser import Message


class Leased(Message):
    """The device of a session is there now, for so many seconds."""

    type: Literal["leased"] = "leased"
    session: str
    seconds: float


class Left(Message):
    """A session has no device any more, or gets none: it rests until its visitor asks again.

    reason: its time is over; its page has given it back; none was to be had; or it was lost, as a worker is.
    text: what the lender says of it.
    """

    type: Literal["left"] = "left"
    session: str
    reason: Literal["over", "gone", "refused", "died"]
    text: str = ""
