"""What to say to a visitor when a session fails, and to the service when the device does."""

from __future__ import annotations

from collections.abc import Callable

from mgdemo import messages as m
from mgdemo.devices import device_failed, out_of_memory
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


def raise_if_broken(error: Exception, emit: Callable[[m.Broken], None]) -> None:
    """Raise an error if nothing works on the device any more: its sessions need another process."""
    if text := device_failed(error):
        emit(m.Broken(text=text))
        raise error
