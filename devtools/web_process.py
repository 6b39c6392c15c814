"""The app as people start it, in a process of its own over stub worlds, and a visitor with a script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import secrets
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import httpx
import websockets

from devtools.ports import free_port
from mgdemo.messages import VERSION
from mgdemo.paths import ROOT

PATIENCE = 60  # seconds; only reached when something is broken


class WebProcess:
    """`mgdemo app` at `address`; what it writes goes to the file `log`."""

    def __init__(self, process: subprocess.Popen, port: int, folder: Path):
        self.process, self.port, self.folder = process, port, folder
        self.address, self.log = f"http://127.0.0.1:{port}", folder / "log"

    @property
    def megabytes(self) -> int:
        """Memory that it has now, without its children's."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4096 // 10**6

    @property
    def peak(self) -> int:
        """The most megabytes that it has had since `forget_peak`."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024 // 10**6
        raise AssertionError("no VmHWM")

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def get(self, path: str) -> dict:
        return httpx.get(f"{self.address}/gradio_api/{path}", timeout=PATIENCE).json()

    def health(self) -> dict:
        return self.get("live-health")

    def live(self, token: str) -> str:
        """The URL of a session's WebSocket."""
        return f"ws://127.0.0.1:{self.port}/gradio_api/live/{token}"

    def url(self, path: str, scheme: str = "ws") -> str:
        return f"{scheme}://127.0.0.1:{self.port}/gradio_api/{path}"


@contextlib.contextmanager
def web_process(
    folder: Path,
    descriptors: int | None = None,
    arguments: Sequence[str] = (),
    module: str = "mgdemo",
    **variables: str,
) -> Iterator[WebProcess]:
    """Started with these arguments and variables, killed at the end.

    descriptors: as by `ulimit -n`; module: what is run in place of `mgdemo`, with the same arguments.
    """

    def limit() -> None:
        if descriptors:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "MGDEMO_"))}
    environment = kept | {
        "TMPDIR": str(folder),
        "PYTHONUNBUFFERED": "1",
        "MGDEMO_LOADER": "benchmarks.stub_world:load_small",
        "MGDEMO_THREADS": "1",
        "MGDEMO_STAND_SECONDS": "0",
        **variables,
    }
    command = [sys.executable, "-m", module, "app", "--no-browser", "--port", str(port), *arguments]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=log, preexec_fn=limit
        )
    web = WebProcess(process, port, folder)
    try:
        until = time.monotonic() + PATIENCE
        while "The page is at" not in web.log.read_text():
            assert process.poll() is None and time.monotonic() < until, web.log.read_text()
            time.sleep(0.05)
        yield web
    finally:
        process.kill()
        process.wait()


class Script:
    """A visitor without a browser, who may send whatever he likes to the events of the page."""

    def __init__(self, web: WebProcess, address: str = "127.0.0.2", headers: dict | None = None):
        """address: where he comes from."""
        self.web, self.address, self.page = web, address, secrets.token_hex(8)
        self.client = httpx.AsyncClient(
            base_url=web.address,
            timeout=PATIENCE,
            headers=headers,
            transport=httpx.AsyncHTTPTransport(
                verify=False,  # reading the system's certificates would take longer than a visit
                local_address=address,
                limits=httpx.Limits(keepalive_expiry=2),  # a server that hangs up after 5 s must not be first
            ),
        )
        self.config: dict = {}

    async def __aenter__(self) -> Script:
        self.config = (await self.client.get("/config")).json()
        return self

    async def __aexit__(self, *_) -> None:
        await self.client.aclose()

    def events(self, name: str) -> list[dict]:
        """The events of this name on the page, in its order."""
        found = self.config["dependencies"]
        return [d for d in found if any(target[1] == name for target in d["targets"])]

    def order(self, event: dict, data: dict | None = None, values: dict[int, object] | None = None) -> dict:
        """What to send for an event; values: instead of the page's own ones, by position."""
        first = {c["id"]: c["props"].get("value") for c in self.config["components"]}
        inputs = [first.get(each) for each in event["inputs"]]
        for position, value in (values or {}).items():
            inputs[position] = value
        return {
            "data": inputs,
            "fn_index": event["id"],
            "session_hash": self.page,
            "trigger_id": event["targets"][0][0],
            "event_data": data,
        }

    async def join(self, order: dict) -> httpx.Response:
        return await self.client.post("/gradio_api/queue/join", json=order)

    async def answer(self, order: dict) -> list | dict:
        """What an event returns: its data, or the output of an event that failed."""
        response = await self.join(order)
        response.raise_for_status()
        event = response.json()["event_id"]
        url = f"/gradio_api/queue/data?session_hash={self.page}"
        async with asyncio.timeout(PATIENCE), self.client.stream("GET", url) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") == "process_completed" and message.get("event_id") == event:
                    return message["output"].get("data") or message["output"]
        raise AssertionError("no answer came")

    async def start(self, **options) -> dict:
        """Press Start on the Play tab; what the player is told: a token, or an error."""
        data = await self.answer(self.order(self.events("start")[0], **options))
        return told(data)

    async def upload(self, name: str, content: bytes) -> str:
        """Send a file; where it lies there."""
        response = await self.client.post("/gradio_api/upload", files={"files": (name, content)})
        response.raise_for_status()
        return response.json()[0]

    @contextlib.asynccontextmanager
    async def player(self, token: str, **options) -> AsyncIterator[websockets.ClientConnection]:
        """A WebSocket to a session, after hello."""
        url = self.web.live(token)
        async with websockets.connect(url, local_addr=(self.address, 0), **options) as socket:
            await socket.send(json.dumps({"type": "hello", "version": VERSION, "codecs": ["h264"]}))
            yield socket


async def heard(socket: websockets.ClientConnection, kind: str) -> dict:
    """The next message of a kind."""
    async with asyncio.timeout(PATIENCE):
        async for item in socket:
            if isinstance(item, str) and (message := json.loads(item))["type"] == kind:
                return message
    raise AssertionError(f"{kind} never came")


async def played(socket: websockets.ClientConnection, blocks: int) -> None:
    """Take so many blocks, as a player that always has some left."""
    for _ in range(blocks):
        block = (await heard(socket, "block"))["block"]
        await socket.send(json.dumps({"type": "ack", "block": block, "buffer_ms": 100}))


def told(data: list | dict) -> dict:
    """The player's `session` property in what an event returned."""
    if isinstance(data, dict):
        return data
    return next(
        value
        for item in data
        if isinstance(item, dict)
        for value in item.get("props", {}).values()
        if isinstance(value, dict) and "id" in value
    )
