"""Visitors who come through Gradio's share tunnel (`--share`): which address of those it names is theirs.

All their requests come from the tunnel's client on this machine. The share server is a reverse proxy that
appends the address it was asked from to `X-Forwarded-For`, so the last one there is no visitor's own word;
but with another proxy before it, as for TLS, it is the same one for all of them. How many addresses are
appended is found by asking ourselves through the tunnel, with an address in the header that we know.
"""

from __future__ import annotations

import ipaddress
import logging
import secrets
from urllib.parse import urlsplit

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from mgdemo.serving.visitors import LOCAL

MARK = "203.0.113.77"  # of a network for documentation: nobody's
PROBE = b"x-mgdemo-probe"
PROBE_SECONDS = 10.0

log = logging.getLogger(__name__)


class Tunnel:
    """ASGI middleware, outside of all that reads where a request comes from."""

    def __init__(self, app: ASGIApp, url: str, host: str):
        """url: the public address of the page; host: where it is served, so where the tunnel's client is."""
        self._peers = {host, *LOCAL.split(",")}
        self._app, self._url = app, url
        self._host = urlsplit(url).netloc.encode()
        self._secret = secrets.token_hex(16).encode()
        self._seen: list[str] | None = None  # the addresses that came with our own request
        self._appended = 1

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            headers = dict(scope["headers"])
            peer = (scope.get("client") or ("",))[0]
            if headers.get(b"host") == self._host and peer in self._peers:
                forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for")
                chain = [each.strip() for each in forwarded.decode("latin1").split(",")]
                if headers.get(PROBE) == self._secret:
                    self._seen = chain
                scope["client"] = (self._address(chain), 0)
        await self._app(scope, receive, send)

    def look(self) -> None:
        """Find out how many addresses are appended; may take seconds."""
        headers = {"X-Forwarded-For": MARK, PROBE.decode(): self._secret.decode()}
        try:
            httpx.get(f"{self._url}/healthz", headers=headers, timeout=PROBE_SECONDS)
        except httpx.HTTPError:
            self._seen = None
        if self._seen is None:
            log.warning("Nothing comes through %s: its visitors may count as one.", self._url)
            return
        chain = self._seen[self._seen.index(MARK) + 1 :] if MARK in self._seen else self._seen
        self._appended = max(1, len(chain))
        if _private(self._address(self._seen)):
            log.warning("%s does not say where its visitors are, so they count as one.", self._url)

    def _address(self, chain: list[str]) -> str:
        return chain[-self._appended] if len(chain) >= self._appended else chain[0]


def _private(host: str) -> bool:
    """Whether an address is no visitor's on the Internet."""
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return True
