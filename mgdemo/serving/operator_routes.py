"""What operators and their programs ask: is it alive, is it ready, how is it? Plain Starlette routes."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mgdemo.serving.operator_token import OperatorToken
from mgdemo.serving.service import SessionService
from mgdemo.serving.waiting import in_thread

UNCACHED = {"Cache-Control": "no-store"}
MOST_BODY = 1000  # bytes of an order
BODY_SECONDS = 10

Answer = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)


def open_routes(service: SessionService, page_trouble: Callable[[], str] = str) -> list[BaseRoute]:
    """`/healthz` and `/readyz`, for any port: they say a word each.

    page_trouble: says what is wrong with the page, "" if nothing is.
    """

    async def alive(request: Request) -> Response:
        """503: it has to be started again."""
        return _word("stuck" if service.stuck or page_trouble() else "")

    async def ready(request: Request) -> Response:
        """503: send visitors elsewhere for now."""
        return _word(service.unready or ("stuck" if page_trouble() else ""))

    return [Route("/healthz", alive), Route("/readyz", ready)]


def operator_routes(service: SessionService, page_trouble: Callable[[], str] = str) -> list[BaseRoute]:
    """Those and what asks for the token, if one is set. What changes anything is only there with a token."""
    token = OperatorToken(service.settings.operator_token, service.counts.refused)

    def guarded(path: str, answer: Answer, **options: Any) -> Route:
        async def checked(request: Request) -> Response:
            return token.refusal(request) or await answer(request)

        return Route(path, checked, **options)

    async def health(request: Request) -> Response:
        health, trouble = service.health(), page_trouble()
        status = {"status": "stuck", "page": trouble} if trouble else {}
        return JSONResponse(health | status, 503 if trouble else 200)

    async def metrics(request: Request) -> Response:
        text = await in_thread(service.counts.text)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def state(request: Request) -> Response:
        return JSONResponse(await in_thread(service.board.view), headers=UNCACHED)

    async def end(request: Request) -> Response:
        """Ends the session that is named."""
        id = (await _order(request)).get("session")
        if not isinstance(id, str) or not await in_thread(service.board.end, id):
            return JSONResponse({"error": "This session has ended already."}, 404, headers=UNCACHED)
        log.info("The operator has ended a session.", extra={"session": id})
        return JSONResponse({}, headers=UNCACHED)

    async def drain(request: Request) -> Response:
        """Begins to drain the server, or ends that."""
        on = (await _order(request)).get("on")
        if not isinstance(on, bool):
            return JSONResponse({"error": 'Give {"on": true} or {"on": false}.'}, 400, headers=UNCACHED)
        await in_thread(service.drain, on)
        log.info("The operator drains the server." if on else "The operator lets sessions begin again.")
        return JSONResponse({}, headers=UNCACHED)

    for_pages = [
        guarded("/operator/state", state),
        guarded("/operator/end", end, methods=["POST"]),
        guarded("/operator/drain", drain, methods=["POST"]),
    ]
    return [
        *open_routes(service, page_trouble),
        guarded("/metrics", metrics),
        guarded("/gradio_api/live-health", health),
        *(for_pages if service.settings.operator_token else ()),
    ]


async def _order(request: Request) -> dict:
    """The JSON object of a request; {} for anything else."""
    data = b""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                data += part
                if len(data) > MOST_BODY:
                    return {}
        order = json.loads(data)
    except (TimeoutError, ClientDisconnect, ValueError, RecursionError):
        return {}
    return order if isinstance(order, dict) else {}


def _word(trouble: str) -> Response:
    return PlainTextResponse(trouble or "ok", 503 if trouble else 200, headers=UNCACHED)
