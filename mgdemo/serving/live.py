"""The service's routes: the live WebSocket, health and metrics. Plain Starlette, for any app to include."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from mgdemo.serving import protocol
from mgdemo.serving.outbox import Outbox

if TYPE_CHECKING:
    from mgdemo.serving.service import PlayService
    from mgdemo.serving.sessions import Session

HELLO_SECONDS = 10
THUMBNAIL_SECONDS = 5  # that a thumbnail is waited for: it comes with its block's last frame
GONE = 1006  # the code for a line that ended by itself; never sent


def live_routes(service: PlayService) -> list[BaseRoute]:
    async def live(socket: WebSocket) -> None:
        await _serve(service, socket)

    async def health(_request) -> JSONResponse:
        return JSONResponse(service.health())

    async def thumbnail(request) -> Response:
        session, node = service.get(request.path_params["token"]), request.path_params["node"]
        if session is None:
            return Response(status_code=404)
        until = time.monotonic() + THUMBNAIL_SECONDS
        while session.making(node) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        picture = session.thumbnail(node)
        if picture is None:
            return Response(status_code=404)
        return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "no-cache"})

    async def metrics(_request) -> PlainTextResponse:
        text = ""
        for name, value in service.metrics().items():
            kind = "counter" if name.endswith("_total") else "gauge"
            text += f"# TYPE mgdemo_{name} {kind}\nmgdemo_{name} {value}\n"
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return [
        WebSocketRoute("/gradio_api/live/{token}", live),
        Route("/gradio_api/live/{token}/thumb/{node:int}.jpg", thumbnail),
        Route("/gradio_api/live-health", health),
        Route("/gradio_api/live-metrics", metrics),
    ]


async def _serve(service: PlayService, socket: WebSocket) -> None:
    """One socket from hello to close. Its loss leaves the play, which waits for the next one."""
    await socket.accept()
    session = service.get(socket.path_params["token"])
    outbox = Outbox()
    try:
        if session is None:
            outbox.close(protocol.UNKNOWN_PLAY, "This play is not known here (any more): press Start.")
        else:
            hello = protocol.parse(await asyncio.wait_for(_text(socket), HELLO_SECONDS))
            if not isinstance(hello, protocol.Hello):
                raise protocol.BadMessage("hello comes first")
            session.attach(outbox, hello.codecs[0])
    except TimeoutError:
        outbox.close(protocol.BAD_MESSAGE, "hello comes first")
    except protocol.BadMessage as error:
        outbox.close(protocol.BAD_MESSAGE, str(error))
    except WebSocketDisconnect:
        return
    jobs = () if outbox.closed else (_listen(socket, session, outbox), _report(session, outbox))
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        while (item := await outbox.next()) is not None:
            await (socket.send_text(item) if isinstance(item, str) else socket.send_bytes(item))
        code, reason = outbox.closed
        if code != GONE:
            await socket.close(code, reason.encode()[:123].decode(errors="ignore"))
    except (WebSocketDisconnect, RuntimeError, OSError):
        pass  # the line broke while something was on its way
    finally:
        for task in tasks:
            task.cancel()
        if session is not None:
            session.detach(outbox)


async def _text(socket: WebSocket) -> str | None:
    """The next text message; None for a binary one. Raises WebSocketDisconnect."""
    message = await socket.receive()
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", 1006))
    return message.get("text")


async def _listen(socket: WebSocket, session: Session, outbox: Outbox) -> None:
    try:
        while True:
            session.receive(outbox, protocol.parse(await _text(socket)))
    except protocol.BadMessage as error:
        outbox.close(protocol.BAD_MESSAGE, str(error))
    except WebSocketDisconnect:
        outbox.close(GONE)
    except Exception:
        outbox.close(1011, "The server made a mistake; see its log.")
        raise


async def _report(session: Session, outbox: Outbox) -> None:
    """Send every status, and the end as soon as the play has ended (while its files are still written)."""
    async for status in session.statuses():
        fields = protocol.StatusMessage.__dataclass_fields__
        outbox.text(protocol.StatusMessage(**{name: getattr(status, name) for name in fields}).json())
        if outcome := session.outcome:
            outbox.text(protocol.End(*outcome).json())
            outbox.close()
            return
