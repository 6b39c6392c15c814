"""What operators and their programs ask: is it alive, is it ready, how is it? Plain Starlette routes."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from mgdemo.serving.service import SessionService


def operator_routes(service: SessionService, page_trouble: Callable[[], str] = str) -> list[BaseRoute]:
    """To be added to the app's routes. `/healthz` and `/readyz` are open, and say a word each.

    page_trouble: says what is wrong with the page, "" if nothing is.
    """

    def closed(request: Request) -> Response | None:
        """The answer to who may not see how the service is."""
        token = service.settings.operator_token
        said = request.headers.get("authorization", "").removeprefix("Bearer ")
        right = not token or hmac.compare_digest(said.encode(), token.encode())
        return None if right else Response("This needs the operator's token.", 401)

    async def alive(request: Request) -> Response:
        """503: it has to be started again."""
        return _word("stuck" if service.stuck or page_trouble() else "")

    async def ready(request: Request) -> Response:
        """503: send visitors elsewhere for now."""
        return _word(service.unready or ("stuck" if page_trouble() else ""))

    async def health(request: Request) -> Response:
        if refusal := closed(request):
            return refusal
        health, trouble = service.health(), page_trouble()
        status = {"status": "stuck", "page": trouble} if trouble else {}
        return JSONResponse(health | status, 503 if trouble else 200)

    async def metrics(request: Request) -> Response:
        if refusal := closed(request):
            return refusal
        text = await asyncio.to_thread(service.counts.text)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return [
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", metrics),
        Route("/gradio_api/live-health", health),
    ]


def _word(trouble: str) -> Response:
    return PlainTextResponse(trouble or "ok", 503 if trouble else 200, headers={"Cache-Control": "no-store"})
