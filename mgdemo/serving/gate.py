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

from mgdemo.serving.budget import Budgets, Holders
from mgdemo.serving.events import (
    EVENTS,
    PAGE_NAME,
    Arrivals,
    BadEvent,
    BodyTooLarge,
    Unread,
    names_a_page,
    names_remote_files,
    read_event,
)
from mgdemo.serving.on_behalf import OnBehalf
from mgdemo.serving.visitors import forwarded_by_a_stranger, network
from mgdemo.settings import Settings

BODY_BYTES = 2 * 2**20  # of an event
UPLOAD_BYTES = 42 * 10**6  # of a file, with what is around it
PLAIN_FORM = re.compile(rb"""multipart/form-data; *boundary="?([\w'()+,./:=?-]{1,70})"?""", re.IGNORECASE)
FILE_COST = 1  # megabytes that each file of an upload counts besides: it takes a place on the disk
UPLOAD = "/gradio_api/upload"
LOGINS = 10  # in a minute
POLICY = 1008  # the code with which a WebSocket is closed that was refused
FILES = 4  # in an upload; the page sends one
PART_SECONDS = 30  # that a body's next part is waited for
BODY_SECONDS, UPLOAD_SECONDS = 60, 600  # that all of it may take: of an event, and of a file
MINUTE = 60
BURST_SECONDS = 10  # in which a visitor may send at once what the limit allows in this time
# Of everything else, such as the many files of a page that is opened, for each request of the limit.
EASY, EASY_SECONDS = 10, 30
# Of events, for each request of the limit: to read a scenario takes 2 s for each of its megabytes.
EVENT_BYTES, EVENT_SECONDS = 10_000, 40
OPEN = 4  # requests and sockets that may be open at once, for each connection: HTTP/2 has many in one

# Screen recordings are decoded by FFmpeg here, code is written by a model, other Spaces and any other site
# are fetched from, the choices of a page are written into a file at each request, events run beside the
# queue, bodies that break off stay on the disk, …
UNUSED = re.compile(
    r"(/gradio_api)?/"
    r"(process_recording|(undo-)?vibe-|proxy=|stream/|monitoring|dev/|deep_link|runs/?$|run-history/|custom_component/"
    r"|component_server|(run|api|file|profiling)/|queue/status|upload_progress|login_check|user/?$|pwa_icon"
    r"|file=\s*[A-Za-z][A-Za-z0-9+.-]+:)"
)
# Answers to GET that take a while to make: a whole page, results of votes, films and files of a comparison.
COSTLY = re.compile(
    r"^/$|/(config|info|openapi\.json)/?$"
    r"|/compare/(votes\.csv|[^/]+/(ballot|standing|(films|files)/[^/]+)|ballots/[^/]+/[^/]+)/?$"
)
MCP = re.compile(r"(/gradio_api)?/mcp(/|$)")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
PROXY = (
    "Requests with X-Forwarded-For come from an address that is not trusted. If that is a proxy of yours, "
    "all its visitors count as one: name the proxy in MGDEMO_TRUSTED_PROXIES. If you have none, a visitor "
    "has made the header up, and it is ignored."
)

log = logging.getLogger(__name__)


class Gate:
    """ASGI middleware. What it refuses never reaches Gradio.

    refused: called with the reason of each refusal, a word. unread: how many events of a page, by its name,
    have no answer yet, or one that the page has not read. forget: see `Arrivals`.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: Settings,
        refused: Callable[[str], None],
        unread: Callable[[str], int] = lambda page: 0,
        forget: Callable[[str], None] = lambda page: None,
    ):
        self.app, self.settings, self._refused = app, settings, refused
        self._requests = Budgets(settings.visitor_requests, BURST_SECONDS)
        self._easy = Budgets(EASY * settings.visitor_requests, EASY_SECONDS)
        self._open = Holders(OPEN * settings.visitor_connections)
        self._logins = Budgets(LOGINS / MINUTE, MINUTE)
        self._arrivals = Arrivals(settings.visitor_requests, forget)
        self._event_bytes = Budgets(EVENT_BYTES * settings.visitor_requests, EVENT_SECONDS)
        self._unread = Unread(unread, BURST_SECONDS * settings.visitor_requests)
        self._megabytes = Budgets(settings.visitor_megabytes / MINUTE, MINUTE)
        self._behalf = OnBehalf()
        self._warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        if CONTROL.search(scope["path"]):  # routes match before a newline at the end, rules here do not
            await _refuse(scope, receive, send, 404, "Not found")
            return
        scope = self._behalf.unmarked(scope)
        visitor = _visitor(scope)
        with self._open.one(visitor) as within:  # also behind a proxy, whose connections are not counted
            if not within:
                self._refused("open")
                await _refuse(scope, receive, send, 429, "Too many requests at once: close other pages.")
            elif not self._easy.take(visitor, time.monotonic()):
                self._refused("requests")
                await _refuse(scope, receive, send, 429, "Too many requests: wait a few seconds.")
            else:
                await self._pass(scope, receive, send)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            if not self._same_origin(scope):
                self._refused("origin")
                await _refuse(scope, receive, send, 403, "another site's page")
                return
            # With each, a player or a view of a comparison begins anew.
            if not self._requests.take(_visitor(scope), time.monotonic()):
                self._refused("requests")
                await _refuse(scope, receive, send, 429, "Too many requests: wait a few seconds.")
                return
        else:
            if refusal := self._refusal(scope):
                await _refuse(scope, receive, send, *refusal)
                return
            if _uploads(scope):  # Gradio keeps an `upload_id` for good, for progress that no page may ask for
                scope = {**scope, "query_string": b""}
            if MCP.match(_path(scope)):
                scope = self._behalf.marked(scope)
            if scope["method"] != "GET":
                seconds = UPLOAD_SECONDS if _uploads(scope) else BODY_SECONDS
                receive = _bounded(receive, self._most(scope), seconds, self._taking(scope))
        answer: ASGIApp | None = PlainTextResponse("This is too large, or came too slowly.", 413)
        try:
            if scope["type"] == "http" and scope["method"] == "POST" and not _uploads(scope):
                event, size, receive = await read_event(receive)
                if EVENTS.search(_path(scope)) and (refusal := self._event_refusal(scope, event, size)):
                    await _refuse(scope, receive, send, *refusal)
                    return
            answer = None  # from here on the app gives it
            await self.app(scope, receive, send)
        except BadEvent:
            self._refused("json")
            await PlainTextResponse("Send JSON in UTF-8.", 400)(scope, receive, send)
        except BodyTooLarge:
            self._refused("size")
            log.info("A request was too large or too slow.")
            if answer is not None:
                await answer(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and the words for a request that goes no further."""
        path = _path(scope)
        if UNUSED.match(path):
            return 404, "Not found"
        headers, host = dict(scope["headers"]), (scope.get("client") or ("",))[0]
        if not self._warned and forwarded_by_a_stranger(host, headers):
            self._warned = True
            log.warning(PROXY)  # not whose it is: it may be a visitor's, who would like to be trusted
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

    def _event_refusal(self, scope: Scope, event: Any, size: int) -> tuple[int, str] | None:
        if not isinstance(event, dict | list):  # Gradio would say the same, or read what has not been judged
            self._refused("json")
            return 400, "Send a JSON object."
        if not self._event_bytes.take(_visitor(scope), time.monotonic(), size):
            self._refused("events")
            return 429, "Too much text at once: wait a few seconds."
        if names_remote_files(event):
            self._refused("remote")
            return 403, "Files are sent here, not fetched from elsewhere."
        if not names_a_page(event):
            self._refused("pages")
            return 422, f"session_hash is the name of a page: give a text of 1 to {PAGE_NAME} characters."
        programs = MCP.match(_path(scope))  # they have no pages
        if not programs and not self._arrivals.admit(_visitor(scope), event):
            self._refused("pages")
            return 429, "Too many pages at once: wait a minute."
        if not self._unread.admit(_visitor(scope), event):
            self._refused("unread")
            return 429, "Too many events wait for answers, or for their page to read them: reload the page."
        return None

    def _most(self, scope: Scope) -> int:
        return UPLOAD_BYTES if _uploads(scope) else BODY_BYTES

    def _taking(self, scope: Scope) -> Callable[[bytes], bool]:
        """Whether the next part of a body may come: of files, which lie on the disk, there are limits."""
        if not _uploads(scope):
            return lambda part: True
        visitor, opened, left = _visitor(scope), _Files(scope).opened, FILES

        def takes(part: bytes) -> bool:
            nonlocal left
            files = opened(part)
            left -= files
            megabytes = FILE_COST * files + len(part) / 10**6
            return left >= 0 and self._megabytes.take(visitor, time.monotonic(), megabytes)

        return takes

    def _same_origin(self, scope: Scope) -> bool:
        """Whether a WebSocket is opened by our page, or by no page. (Pages cannot choose these headers.)"""
        headers = {name: value.decode("latin1") for name, value in scope["headers"]}
        origin = headers.get(b"origin")
        if origin is None:
            return True
        hosts = {headers.get(b"host", ""), headers.get(b"x-forwarded-host", "")} - {""}
        return urlsplit(origin).netloc in hosts or origin in self.settings.origins.split(",")


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, words: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": POLICY, "reason": words})
    else:
        await PlainTextResponse(words, status)(scope, receive, send)


def _path(scope: Scope) -> str:
    """Without the prefix that a proxy before it has given."""
    return scope["path"].removeprefix(scope.get("root_path", ""))


def _visitor(scope: Scope) -> str:
    return network((scope.get("client") or ("",))[0])


def _uploads(scope: Scope) -> bool:
    return _path(scope) == UPLOAD


class _Files:
    """Counts the files of an upload as they come: a thousand empty ones would be a small request."""

    def __init__(self, scope: Scope):
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        match = PLAIN_FORM.fullmatch(kinds[0]) if len(kinds) == 1 else None  # read in one way only
        self._boundary = b"--" + match[1] if match else b""
        self._opening = re.compile(re.escape(self._boundary) + rb"[^-]")  # "-" closes the last one
        self._tail = b""

    def opened(self, part: bytes) -> int:
        """How many files begin in the next part of the body; of a body that cannot be read, too many."""
        if not self._boundary:
            return FILES + 1
        data = self._tail + part
        ends = [match.end() for match in self._opening.finditer(data)]
        self._tail = data[max(0, len(data) - len(self._boundary), *ends[-1:]) :]
        return len(ends)


def _bounded(receive: Receive, most: int, seconds: float, takes: Callable[[bytes], bool]) -> Receive:
    """The same, as long as the body comes and is not too large. Raises BodyTooLarge.

    seconds: for all of it, from now on. takes: says of each part whether it may come.
    """
    size, more, until = 0, True, time.monotonic() + seconds

    async def bounded() -> Message:
        nonlocal size, more
        if not more:
            return await receive()
        try:
            left = max(0.0, until - time.monotonic())
            message = await asyncio.wait_for(receive(), min(PART_SECONDS, left))
        except TimeoutError:
            raise BodyTooLarge from None
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size > most or not takes(part):
            raise BodyTooLarge
        return message

    return bounded
