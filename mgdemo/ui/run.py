"""One play or scenario from Start to its films: what both tabs do with a session."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable

import gradio as gr

from mgdemo.errors import UserError
from mgdemo.serving import Recording, ServingError, Session, SessionRequest, SessionService
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.results import Results

LIVE = "gradio_api/live"  # where the service's WebSocket is
log = logging.getLogger(__name__)


def connect(
    service: SessionService,
    screen: gr.HTML,
    results: Results,
    request: Callable[..., SessionRequest],
    inputs: list[gr.components.Component],
) -> None:
    """Lets Start and Stop of the player `screen` run sessions. `request` makes one from the `inputs`."""

    async def start(*values) -> AsyncIterator[tuple]:
        async for play, result in follow(lambda: service.open(request(*values))):
            yield gr.HTML(play=play), *results.show(result)

    async def resume(event: gr.EventData) -> AsyncIterator[tuple]:
        async for play, result in follow(lambda: service.get(event._data.get("token") or "")):
            yield gr.HTML(play=play), *results.show(result)

    async def stop(event: gr.EventData) -> None:
        session = service.get(event._data.get("token") or "")
        if session:
            await session.stop()

    quiet = EVENT_OPTIONS | {"concurrency_limit": None}  # who may play is decided in the service
    screen.start(start, inputs, [screen, *results.outputs], trigger_mode="once", **quiet)
    screen.resume(resume, None, [screen, *results.outputs], trigger_mode="once", **quiet)
    screen.stop(stop, **quiet)


async def follow(session_of: Callable[[], Session | None]) -> AsyncIterator[tuple[dict, Recording | None]]:
    """Yields what the player reads of the session that `session_of()` gives, and at last its results."""
    play = {"id": secrets.token_hex(8), "token": None, "path": None, "live": False, "beat": 0}
    try:
        session = await asyncio.to_thread(session_of)
        if session is None:
            raise ServingError("Your session is over. Press Start to begin another.")
        play |= {"token": session.token, "path": f"{LIVE}/{session.token}", "live": session.live}
        async for status in session.statuses():
            play["beat"] += 1
            if status.phase not in ("ended", "error"):
                yield play | {"status": status.model_dump()}, None
        ended = await session.ended()
        text = f"{ended.text} Your film is ready." if ended.recording else ended.text
        yield play | {"status": status.model_dump() | {"text": text}}, ended.recording
    except UserError as error:
        yield play | {"status": {"phase": "error", "text": str(error)}}, None
    except Exception:
        log.exception("A session failed.")
        text = "Something went wrong on the server (see its log). Press Start to try again."
        yield play | {"status": {"phase": "error", "text": text}}, None
