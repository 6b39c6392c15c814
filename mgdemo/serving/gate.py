"""What every request passes first: limits for one visitor, and refusals of what the page does not use."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mgdemo.serving.budget import Budgets
from mgdemo.serving.events import EVENTS, Arrivals, names_remote_files, read_event
from mgdemo.serving.visitors import forwarded_by_a_stranger, network
from mgdemo.settings import Settings

BODY_BYTES = 2 * 2**20  # of an event
UPLOAD_BYTES = 42 * 10**6  # of a file, with what is around it
PLAIN_FORM = re.compile(rb"""multipart/form-data; *boundary="?([\w'()+,./:=?-]{1,70})"?""", re.IGNORECASE)
UPLOAD_COST = 1  # megabytes that each upload counts besides: Gradio remembers its path for good
LOGINS = 10  # in a minute
FILES = 4  # in an upload; the page sends one
BODY_SECONDS = 30  # that a body's next part is waited for
MINUTE = 60
BURST_SECONDS = 10  # in which a visitor may send at once what the limit allows in this time

# Screen recordings are decoded by FFmpeg here, code is written by a model, other Spaces and any other site
# are fetched from, the choices of a page are written into a file at each request, …
UNUSED = re.compile(
    r"(/gradio_api)?/"
    r"(process_recording|(undo-)?vibe-|proxy=|stream/|monitoring|dev/|deep_link|runs/?$|run-history/|custom_component/"
    r"|file=\s*[A-Za-z][A-Za-z0-9+.-]+:)"
)
# Answers to GET that take a while to make: a whole page, results of votes, files of a comparison.
COSTLY = re.compile(
    r"^/$|/(config|info|openapi\.json)$|/compare/(votes\.csv|[^/]+/(ballot|standing|files/[^/]+))$"
)

log = logging.getLogger(__name__)


class Gate:
    """ASGI middleware. What it refuses never reaches Gradio.

    refused: called with the reason of each refusal, a word.
    """

    def __init__(self, app: ASGIApp, settings: Settings, refused: Callable[[str], None]):
        self.app, self.settings, self._refused = app, settings, refused
        self._requests = Budgets(settings.visitor_requests, BURST_SECONDS)
        self._logins = Budgets(LOGINS / MINUTE, MINUTE)
        self._arrivals = Arrivals(settings.visitor_requests)
        self._megabytes = Budgets(settings.visitor_megabytes / MINUTE, MINUTE)
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
                receive = _bounded(receive, self._most(scope), self._taking(scope))
        try:
            if scope["type"] == "http" and scope["method"] == "POST" and EVENTS.search(_path(scope)):
                event, receive = await read_event(receive)
                if refusal := self._event_refusal(scope, event):
                    await PlainTextResponse(refusal[1], refusal[0])(scope, receive, send)
                    return
            await self.app(scope, receive, send)
        except BodyTooLarge:
            self._refused("size")
            log.info("A request was too large or too slow.")

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the words for a request that goes no further."""
        path = _path(scope)
        if UNUSED.match(path):
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
        if _uploads(scope) and self._megabytes.spent(network(host), time.monotonic()):
            self._refused("uploads")
            return 429, "Too many files in a minute: wait a little."
        tries = scope["method"] == "POST" and path.rstrip("/") == "/login"
        if tries and not self._logins.take(network(host), time.monotonic()):
            self._refused("logins")
            return 429, "Too many logins: wait a minute."
        counted = scope["method"] not in ("GET", "HEAD") or COSTLY.search(path)
        if counted and not self._requests.take(network(host), time.monotonic()):
            self._refused("requests")
            return 429, "Too many requests: wait a few seconds."
        return None

    def _event_refusal(self, scope: Scope, event: Any) -> tuple[int, str] | None:
        if names_remote_files(event):
            self._refused("remote")
            return 403, "Files are sent here, not fetched from elsewhere."
        programs = "/mcp" in _path(scope)  # they have no pages
        if not programs and not self._arrivals.admit(_visitor(scope), event):
            self._refused("pages")
            return 429, "Too many pages at once: wait a minute."
        return None

    def _most(self, scope: Scope) -> int:
        return UPLOAD_BYTES if _uploads(scope) else BODY_BYTES

    def _taking(self, scope: Scope) -> Callable[[bytes], bool]:
        """Whether the next part of a body may come: of files, which lie on the disk, there are limits."""
        if not _uploads(scope):
            return lambda part: True
        visitor, files, cost = _visitor(scope), _Files(scope), UPLOAD_COST

        def takes(part: bytes) -> bool:
            nonlocal cost
            within = self._megabytes.take(visitor, time.monotonic(), cost + len(part) / 10**6)
            cost = 0
            return within and files.take(part)

        return takes

    def _same_origin(self, scope: Scope) -> bool:
        """Whether a WebSocket is opened by our page, or by no page. (Pages cannot choose these headers.)"""
        headers = {name: value.decode("latin1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        if origin is None:
            return True
        hosts = {headers.get(b"host", ""), headers.get(b"x-forwarded-host", "")} - {""}
        return urlsplit(origin).netloc in hosts or origin in self.settings.origins.split(",")


def _path(scope: Scope) -> str:
    """Without the prefix that a proxy before it has given."""
    return scope["path"].removeprefix(scope.get("root_path", ""))


def _visitor(scope: Scope) -> str:
    return network((scope.get("client") or ("",))[0])


def _uploads(scope: Scope) -> bool:
    return scope["path"].endswith("/upload")


class _Files:
    """Counts the files of an upload as they come: a thousand empty ones would be a small request."""

    def __init__(self, scope: Scope):
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        match = PLAIN_FORM.fullmatch(kinds[0]) if len(kinds) == 1 else None  # read in one way only
        self._boundary = b"--" + match[1] if match else b""
        self._left, self._tail = FILES + 1, b""

    def take(self, part: bytes) -> bool:
        if not self._boundary:
            return False
        data = self._tail + part
        self._left -= data.count(self._boundary)
        self._tail = data[max(len(data) - len(self._boundary) + 1, 0) :]
        return self._left >= 0


class BodyTooLarge(Exception):
    """A body is larger than it may be, or comes too slowly."""


def _bounded(receive: Receive, most: int, takes: Callable[[bytes], bool]) -> Receive:
    """The same, as long as the body comes and is not too large. Raises BodyTooLarge.

    takes: says of each part whether it may come.
    """
    size, more = 0, True

    async def bounded() -> Message:
        nonlocal size, more
        if not more:
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), BODY_SECONDS)
        except TimeoutError:
            raise BodyTooLarge from None
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size > most or not takes(part):
            raise BodyTooLarge
        return message

    return bounded
