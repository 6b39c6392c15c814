"""What to say to a visitor when a session fails."""

from __future__ import annotations

from mgdemo.devices import out_of_memory
from mgdemo.errors import UserError


class SessionError(UserError):
    """A session that cannot begin; the message is for the visitor."""


def sentence(error: Exception) -> str:
    """What a visitor reads about an error: our own errors speak for themselves, others get a cure."""
    if isinstance(error, UserError):
        return str(error)
    if memory := out_of_memory(error):
        return memory
    reason = (str(error).strip().splitlines() or ["no reason given"])[0].rstrip(".")
    return (
        f"The model failed ({type(error).__name__}: {reason[:200]}). Press Start to try again; if it fails "
        f"again, choose another start image or checkpoint, and see the server's log."
    )
