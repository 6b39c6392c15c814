"""Visitors who come through Gradio's share tunnel: each counts by an address that is not his own word."""

import asyncio
import logging
import threading
import time

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from mgdemo.serving.tunnel import Tunnel

pytestmark = pytest.mark.anyio

VISITOR, BALANCER = "198.51.100.7", "10.0.0.9"


class Share:
    """A server, and before it a share server and perhaps another proxy; each appends whom it was asked by."""

    def __init__(self, proxies):
        """proxies: what is appended to X-Forwarded-For for a visitor at an address."""
        self.proxies, self.visitor = proxies, VISITOR
        self.threads = []
        self.public = self._serve(Starlette(routes=[Route("/{path:path}", self._forward)]))
        url = f"http://127.0.0.1:{self.public}"
        app = Starlette(
            routes=[Route("/{path:path}", lambda request: PlainTextResponse(request.client.host))]
        )
        config = uvicorn.Config(app, log_level="warning")  # as Gradio's: it believes this machine's proxies
        config.load()
        self.tunnel = Tunnel(config.loaded_app, url, "127.0.0.1")
        self.port = self._serve(self.tunnel)
        self.tunnel.look()

    def _serve(self, app):
        server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", proxy_headers=False))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        self.threads.append((server, thread))
        while not server.started:
            time.sleep(0.01)
        return server.servers[0].sockets[0].getsockname()[1]

    async def _forward(self, request: Request) -> Response:
        said = request.headers.get("x-forwarded-for", "")
        chain = ", ".join(filter(None, [said, *self.proxies(self.visitor)]))
        headers = dict(request.headers) | {"x-forwarded-for": chain}
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{self.port}{request.url.path}", headers=headers)
        return Response(answer.content)

    async def who(self, visitor, says=None, through=None):
        """Whom the server takes a visitor for, who may say what he likes."""
        self.visitor = visitor
        headers = {"x-forwarded-for": says} if says else {}
        async with httpx.AsyncClient(headers=headers) as client:
            return (await client.get(f"http://127.0.0.1:{through or self.public}/")).text

    def close(self):
        for server, thread in self.threads:
            server.should_exit = True
            thread.join()


@pytest.fixture
def share():
    made = []

    def start(proxies):
        made.append(Share(proxies))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.mark.parametrize(
    "proxies",
    [lambda visitor: [visitor], lambda visitor: [visitor, BALANCER]],
    ids=["alone", "behind another"],
)
async def test_a_visitor_counts_as_himself_whatever_he_says(share, proxies):
    server = await asyncio.to_thread(share, proxies)
    assert await server.who(VISITOR) == VISITOR
    assert await server.who("198.51.100.8") == "198.51.100.8"
    for lie in ("192.0.2.1", "192.0.2.1, 192.0.2.2, 192.0.2.3", "127.0.0.1", "203.0.113.77", "nonsense"):
        assert await server.who(VISITOR, lie) == VISITOR


async def test_where_nothing_tells_visitors_apart_they_count_as_one_and_the_log_says_so(share, caplog):
    with caplog.at_level(logging.WARNING):
        server = await asyncio.to_thread(share, lambda visitor: [BALANCER])
    assert "so they count as one" in caplog.text
    assert await server.who(VISITOR) == await server.who("198.51.100.8", "192.0.2.1") == BALANCER


async def test_whoever_does_not_come_through_the_tunnel_is_not_taken_for_another(share):
    server = await asyncio.to_thread(share, lambda visitor: [visitor])
    headers = {"host": f"127.0.0.1:{server.public}", "x-forwarded-for": "192.0.2.1"}
    transport = httpx.AsyncHTTPTransport(local_address="127.0.0.2")  # no proxy, and not this machine's client
    async with httpx.AsyncClient(transport=transport, headers=headers) as client:
        assert (await client.get(f"http://127.0.0.1:{server.port}/")).text == "127.0.0.2"
