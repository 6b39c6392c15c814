"""Services over worlds that remember, behind a real server on loopback; and ways to break them."""

import contextlib
import hashlib
import os
import signal

import pytest

from benchmarks.watching import workers
from devtools.web_process import web_process
from tests.serving.conftest import (  # noqa: F401 (a fixture)
    anyio_backend,
    servers,
    slow_starts,
)
from tests.serving.conftest import serve as serve_plain  # noqa: F401 (a fixture: over worlds that don't)

WORLDS = "benchmarks.remembering_world:load"


@pytest.fixture
def serve(tmp_path):
    """serve(**settings) -> Server; all of them are closed in the end."""
    with servers(tmp_path, WORLDS) as start:
        yield start


def kill_workers():
    """How an out-of-memory killer does it; how many there were."""
    pids = workers(os.getpid())
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    return len(pids)


def seen(player):
    """What a player with JPEG pictures has got of each frame of each node, in the order of coming."""
    pictures = {}
    for node, (_, _, frame, _, payload) in zip(player.nodes, player.frames, strict=True):
        pictures.setdefault((node, frame), []).append(hashlib.sha256(payload).hexdigest())
    return pictures


@pytest.fixture
def start(tmp_path_factory):
    """start(descriptors=None, **settings) -> WebProcess; all of them are killed in the end."""
    with contextlib.ExitStack() as stack:

        def start(descriptors=None, **variables):
            variables = {f"MGDEMO_{name.upper()}": str(value) for name, value in variables.items()}
            return stack.enter_context(web_process(tmp_path_factory.mktemp("web"), descriptors, **variables))

        yield start


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """One with the settings that ship."""
    with web_process(tmp_path_factory.mktemp("web")) as web:
        yield web
