"""The live WebSocket and what belongs to it. Plain Starlette routes, for any app to include."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from mgdemo import messages as m
from mgdemo.errors import WENT_WRONG
from mgdemo.serving.archive import STILL_WRITING
from mgdemo.serving.budget import Budgets
from mgdemo.serving.outbox import Outbox
from mgdemo.serving.phases import Ended
from mgdemo.serving.service import SessionService
from mgdemo.serving.session import Session
from mgdemo.serving.waiting import in_thread, next_text

HELLO_SECONDS = 10
SAVED_SECONDS = 900  # that the files of a session are waited for, and those of others before it
MESSAGES, BURST_SECONDS = 100, 2  # of a session; a page says at most some 40 a second
TALKATIVE = "Too many messages at once: reload the page."
SOCKETS = 2  # of a session: one may be lost, and nobody knows it yet
THUMBNAIL_SECONDS = 5  # that a thumbnail is waited for: it comes with its block's last frame
GONE = 1006  # the code of a connection that was lost; never sent


def live_routes(service: SessionService) -> list[BaseRoute]:
    """To be added to the app's routes."""

    sockets, budgets = Sockets(), Budgets(MESSAGES, BURST_SECONDS)

    async def live(socket: WebSocket) -> None:
        with sockets.another(socket.path_params["token"]):
            await _serve(service, socket, budgets)

    async def thumbnail(request: Request) -> Response:
        session, node = service.get(request.path_params["token"]), request.path_params["node"]
        if session is None:
            return Response(status_code=404)
        until = time.monotonic() + THUMBNAIL_SECONDS
        while session.making(node) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        picture = await in_thread(session.thumbnail, node)
        if picture is None:
            return Response(status_code=404)
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-cache"})

    return [
        WebSocketRoute("/gradio_api/live/{token}", live),
        Route("/gradio_api/live/{token}/thumb/{node:int}.jpg", thumbnail),
    ]


class Sockets:
    """The open sockets of each token: at most `SOCKETS`; a further one ends the oldest."""

    def __init__(self):
        self._open: defaultdict[str, list[asyncio.Task]] = defaultdict(list)

    @contextmanager
    def another(self, token: str) -> Iterator[None]:
        task = asyncio.current_task()
        assert task is not None
        tasks = self._open[token]
        for oldest in tasks[: len(tasks) - SOCKETS + 1]:
            oldest.cancel()
        tasks.append(task)
        try:
            yield
        finally:
            tasks.remove(task)
            if not tasks:
                del self._open[token]


async def _serve(service: SessionService, socket: WebSocket, budgets: Budgets) -> None:
    """One socket from hello to close. Its loss leaves the session, which waits for the next one.

    budgets: of messages, by token, so that another connection brings no more.
    """
    await socket.accept()
    token = socket.path_params["token"]
    session = service.get(token)
    outbox = Outbox()

    async def said() -> m.ClientMessage:
        """The next message. Raises BadMessage, _TooMany and WebSocketDisconnect."""
        text = await next_text(socket)
        if not budgets.take(token, time.monotonic()):
            service.counts.refused("messages")
            raise _TooMany
        return m.parse(text)

    try:
        hello = await asyncio.wait_for(said(), HELLO_SECONDS)
        if not isinstance(hello, m.Hello):
            raise m.BadMessage("hello comes first")
        if session is not None:
            session.attach(outbox, hello.codecs[0])
        elif (ended := await in_thread(service.ended, token)) is not None:
            outbox.text(ended.message().model_dump_json())
            outbox.close()
        else:
            outbox.close(m.UNKNOWN, "The server no longer knows this session: press Start.")
    except TimeoutError:
        outbox.close(m.BAD_MESSAGE, "hello comes first")
    except _TooMany:
        outbox.close(m.TOO_MANY, TALKATIVE)
    except m.BadMessage as error:
        outbox.close(m.BAD_MESSAGE, str(error))
    except WebSocketDisconnect:
        return
    jobs = [_listen(said, session, outbox), _report(session, outbox)] if session and not outbox.closed else []
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        while (item := await outbox.next()) is not None:
            await (socket.send_text(item) if isinstance(item, str) else socket.send_bytes(item))
        code, reason = outbox.closed or (GONE, "")
        if code != GONE:
            await socket.close(code, reason.encode()[:123].decode(errors="ignore"))
    except (WebSocketDisconnect, RuntimeError, OSError):
        pass  # the connection was lost while something was on its way
    finally:
        for task in tasks:
            task.cancel()
        if session is not None:
            session.detach(outbox)


class _TooMany(Exception):
    """More messages came for a session than a page says."""


async def _listen(said: Callable[[], Awaitable[m.ClientMessage]], session: Session, outbox: Outbox) -> None:
    try:
        while not outbox.closed:
            session.receive(outbox, await said())
    except _TooMany:
        outbox.close(m.TOO_MANY, TALKATIVE)
    except m.BadMessage as error:
        outbox.close(m.BAD_MESSAGE, str(error))
    except WebSocketDisconnect:
        outbox.close(GONE)
    except Exception:
        outbox.close(1011, WENT_WRONG)
        raise


async def _report(session: Session, outbox: Outbox) -> None:
    """Send every status, and at last the end, when the files are written."""
    async for status in session.statuses():
        if status.phase not in ("ended", "error"):
            outbox.text(status.model_dump_json())
    try:
        ended = await asyncio.wait_for(session.ended(), SAVED_SECONDS)
    except TimeoutError:
        ended = Ended("error", STILL_WRITING)
    outbox.text(ended.message().model_dump_json())
    outbox.close()
