"""What every request passes first: limits for one visitor, and refusals of what the page does not use."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mgdemo.serving.budget import Budget
from mgdemo.serving.visitors import forwarded_by_a_stranger, network
from mgdemo.settings import Settings

BODY_BYTES = 2 * 2**20  # of an event
UPLOAD_BYTES = 42 * 10**6  # of a file, with what is around it
BODY_SECONDS = 30  # that a body's next part is waited for
BURST_SECONDS = 10  # in which a visitor may send at once what the limit allows in this time
REMEMBERED = 10_000  # visitors

# Screen recordings are decoded by FFmpeg here, code is written by a model, other Spaces are fetched from, …
UNUSED = re.compile(r"(/gradio_api)?/(process_recording|(undo-)?vibe-|proxy=|stream/|monitoring|dev/)")

log = logging.getLogger(__name__)


class Gate:
    """ASGI middleware. What it refuses never reaches Gradio.

    refused: called with the reason of each refusal, a word.
    """

    def __init__(self, app: ASGIApp, settings: Settings, refused: Callable[[str], None]):
        self.app, self.settings, self._refused = app, settings, refused
        self._budgets: OrderedDict[str, Budget] = OrderedDict()
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            if not self._same_origin(scope):
                self._refused("origin")
                await send({"type": "websocket.close", "code": 1008, "reason": "another site's page"})
                return
        elif scope["type"] == "http":
            if refusal := self._refusal(scope):
                await PlainTextResponse(refusal[1], refusal[0])(scope, receive, send)
                return
            if scope["method"] != "GET":
                receive = _bounded(receive, self._most(scope))
        try:
            await self.app(scope, receive, send)
        except BodyTooLarge:
            self._refused("size")
            log.info("A request was too large or too slow.")

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the words for a request that goes no further."""
        if UNUSED.match(scope["path"]):
            return 404, "Not found"
        headers, host = dict(scope["headers"]), (scope.get("client") or ("",))[0]
        if not self._warned and forwarded_by_a_stranger(host, headers):
            self._warned = True
            log.warning(
                "Requests come through a proxy at %s that is not trusted, so all its visitors count as one: "
                "set MGDEMO_TRUSTED_PROXIES=%s.",
                host,
                host,
            )
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._most(scope):
            self._refused("size")
            return 413, "This is too large."
        if scope["method"] == "POST" and not self._within_budget(network(host)):
            self._refused("requests")
            return 429, "Too many requests: wait a few seconds."
        return None

    def _most(self, scope: Scope) -> int:
        return UPLOAD_BYTES if scope["path"].endswith("/upload") else BODY_BYTES

    def _within_budget(self, visitor: str) -> bool:
        rate, now = self.settings.visitor_requests, time.monotonic()
        if not rate:
            return True
        budget = self._budgets.pop(visitor, None) or Budget(rate, BURST_SECONDS, now)
        self._budgets[visitor] = budget  # now the newest
        while len(self._budgets) > REMEMBERED:
            self._budgets.popitem(last=False)
        return budget.take(now)

    def _same_origin(self, scope: Scope) -> bool:
        """Whether a WebSocket is opened by our page, or by no page. (Pages cannot choose these headers.)"""
        headers = {name: value.decode("latin1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        if origin is None:
            return True
        hosts = {headers.get(b"host", ""), headers.get(b"x-forwarded-host", "")} - {""}
        return urlsplit(origin).netloc in hosts or origin in self.settings.origins.split(",")


class BodyTooLarge(Exception):
    """A body is larger than it may be, or comes too slowly."""


def _bounded(receive: Receive, most: int) -> Receive:
    """The same, as long as the body comes and is not too large. Raises BodyTooLarge."""
    size, more = 0, True

    async def bounded() -> Message:
        nonlocal size, more
        if not more:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), BODY_SECONDS)
        except TimeoutError:
            raise BodyTooLarge from None
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        if size > most:
            raise BodyTooLarge
        return message

    return bounded
