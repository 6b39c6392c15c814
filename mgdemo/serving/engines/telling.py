"""What an engine tells its worker."""

from __future__ import annotations

import logging

from mgdemo import messages as m
from mgdemo.serving.engines import OnEvent

log = logging.getLogger(__name__)


def encoded(command: m.Command, on_event: OnEvent) -> bytes:
    """The bytes of a command; b"" if they cannot be had, and then its session hears that it has failed."""
    try:
        return m.encode(command)
    except Exception as error:
        log.exception("A command to a worker could not be sent.")
        if session := getattr(command, "session", ""):
            reason = f"The engine could not be told of your session ({error})"
            on_event(m.Failed(session=session, text=f"{reason}: choose another start image or scenario."))
        return b""
