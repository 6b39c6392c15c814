"""The operator's page: sessions, queue, engines, refusals, disk. Its figures come from `operator_routes`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from mgdemo.ui.modules import address

FOLDER = Path(__file__).parent
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def routes() -> list[BaseRoute]:
    """`/operator`, beside the routes of the page's modules. It says nothing without the token."""

    async def page(request: Request) -> Response:
        return HTMLResponse(_page(), headers=HEADERS)

    async def style(request: Request) -> Response:
        return FileResponse(FOLDER / "operator.css", headers=HEADERS, media_type="text/css")

    return [Route("/operator", page), Route("/operator/page.css", style)]


@cache
def _page() -> str:
    text = (FOLDER / "operator.html").read_text("utf-8")
    return text.replace("SCRIPT", address("ui/operator/operator.js"))
