"""One play or scenario from Start to its films: what both tabs do with a session."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable

import gradio as gr

from mgdemo.picture import PictureError
from mgdemo.serving import FINAL, PlayRequest, PlayService, Result, ServingError, Session, Status
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.form import FormError
from mgdemo.ui.results import Results

LIVE = "gradio_api/live"  # where the service's WebSocket is
log = logging.getLogger(__name__)


def connect(
    service: PlayService,
    screen: gr.HTML,
    results: Results,
    request: Callable[..., PlayRequest],
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


async def follow(session_of: Callable[[], Session | None]) -> AsyncIterator[tuple[dict, Result | None]]:
    """Yields what the player reads of the session that `session_of()` gives, and at last its results.

    When the page goes before that, the session is left to come back to.
    """
    play = {"id": secrets.token_hex(8), "token": None, "path": None, "live": False, "beat": 0}
    session, over = None, False

    def failed(text: str) -> tuple[dict, None]:
        return play | {"status": {"state": "error", "text": text}}, None

    try:
        session = await asyncio.to_thread(session_of)
        if session is None:
            raise ServingError("Your play is over. Press Start to play again.")
        session.come()
        play |= {"token": session.token, "path": f"{LIVE}/{session.token}", "live": session.live}
        async for status in session.statuses():
            play["beat"] += 1
            over = status.state in FINAL
            yield play | {"status": _plain(status)}, status.result
    except (FormError, PictureError, ServingError) as error:
        yield failed(str(error))
    except Exception:
        log.exception("A play failed.")
        yield failed("The server had a problem of its own, which its log describes. Start again.")
    finally:
        if session and over:
            await session.close()
        elif session:
            session.leave()


def _plain(status: Status) -> dict:
    fields = ("state", "text", "progress", "frames", "fps", "seconds_left")
    plain = {name: getattr(status, name) for name in fields}
    if status.result:
        plain["text"] += " Your film is ready."
    return plain
