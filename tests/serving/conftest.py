"""Services over stub worlds behind a real server on loopback."""

import asyncio
import contextlib
import time

import pytest

from devtools.live_player import Server
from mgdemo.serving import Settings
from mgdemo.serving.engines import NO_HEARTBEAT, EngineHealth


@pytest.fixture
def anyio_backend():
    return "asyncio"


PATIENT = {"ack_seconds": 3600}  # settings of sessions that are looked at `later`


def later(server, session, seconds):
    """The service looks after a session as it will do in so many seconds."""
    with server.service.lock:
        session.tick(time.monotonic() + seconds)


async def settled(player):
    """Wait until a player gets no more; how many blocks it has."""
    seen = None
    while seen != (seen := (len(player.messages), len(player.frames))):
        await asyncio.sleep(0.5)
    return len(player.of("block"))


@pytest.fixture
def slow_starts(monkeypatch):
    """A worker that has not been heard yet is not silent, however slowly this machine starts one."""
    trouble = EngineHealth.trouble

    def heard(health, timeout):
        return "" if health.heartbeat is NO_HEARTBEAT else trouble(health, timeout)

    monkeypatch.setattr(EngineHealth, "trouble", heard)


@contextlib.contextmanager
def servers(folder, loader, **defaults):
    """serve(**settings) -> Server over worlds of a loader; blocks are made once, idle or not, and a session
    waits for its player as long as a slow machine takes to connect it."""
    defaults |= {"loader": loader, "regenerate": False, "stand_seconds": 0, "threads": 1}
    defaults["connect_seconds"] = 3600
    with contextlib.ExitStack() as stack:

        def start(**settings):
            server = Server(Settings(**defaults | {"record_dir": folder / "sessions"} | settings))
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def serve(tmp_path):
    """serve(**settings) -> Server; all of them are closed in the end."""
    with servers(tmp_path, "benchmarks.stub_world:load_small", sessions=1) as start:
        yield start
