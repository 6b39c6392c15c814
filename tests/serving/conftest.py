"""Services over stub worlds behind a real server on loopback."""

import contextlib

import pytest

from devtools.live_player import Server
from mgdemo.serving import Settings


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def serve(tmp_path):
    """serve(**settings) -> Server; all of them are closed in the end. Blocks are made once, idle or not."""
    with contextlib.ExitStack() as stack:

        def start(**settings):
            defaults = {"sessions": 1, "regenerate": False, "stand_seconds": 0}
            settings = defaults | {"record_dir": tmp_path / "sessions"} | settings
            server = Server(Settings(loader="benchmarks.stub_world:load_small", threads=1, **settings))
            stack.callback(server.close)
            return server

        yield start
