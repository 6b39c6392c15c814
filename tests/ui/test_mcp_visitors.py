"""Callers of MCP tools are visitors, each with an address and limits of its own, whatever they claim."""

import asyncio
import contextlib

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

from devtools.live_player import until

LONG = "title: Long\nmode: universal\nactions:\n  - {hold: [W], for: 500s}\n"
CLAIMED = "192.0.2.9"  # the same of each
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def address(serve):
    return serve(mcp=True, visitor_sessions=2)


@contextlib.asynccontextmanager
async def caller(address, host):
    """One that comes from a host, and claims to be another."""
    transport = httpx.AsyncHTTPTransport(local_address=host)
    async with (
        httpx.AsyncClient(transport=transport, headers={"x-forwarded-for": CLAIMED}, timeout=60) as client,
        streamable_http_client(f"{address}gradio_api/mcp/", http_client=client) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        yield session


def playing(address):
    return httpx.get(f"{address}gradio_api/live-health").json()["playing"]


async def replay(session):
    async with asyncio.timeout(60):
        return (await session.call_tool("replay", {"scenario": LONG})).content[0].text


async def test_each_caller_has_the_limits_of_its_own_address(address):
    async with (
        caller(address, "127.0.0.2") as one,
        caller(address, "127.0.0.3") as two,
        asyncio.TaskGroup() as calls,
    ):
        running = [calls.create_task(replay(one)) for _ in range(2)]
        await until(lambda: playing(address) == 2)
        assert "You already have 2 calls running" in await replay(one)
        running.append(calls.create_task(replay(two)))
        await until(lambda: playing(address) == 3)
        for call in running:
            call.cancel()
