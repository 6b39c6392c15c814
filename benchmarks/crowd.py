"""Does the page answer while many visitors are present? What one click takes, with and without a crowd.

    python -m benchmarks.crowd --visitors 45

Every visitor presses Start; one plays, the others wait in the queue, each with a WebSocket of its own. A
click is the choice of a world, as the page sends it. Gradio works on at most 40 events at once, so an event
that lasted as long as a session would stop every click from the 41st visitor on.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import secrets
import statistics
import time
from collections.abc import AsyncIterator

import httpx
import websockets

from mgdemo.messages import VERSION


class Visitor:
    """A page without a browser: Gradio's events by HTTP, and the session's WebSocket."""

    def __init__(self, client: httpx.AsyncClient, config: dict):
        self.client, self.config = client, config
        self.page = secrets.token_hex(8)  # Gradio's session hash

    async def event(self, component: int, name: str) -> AsyncIterator[list]:
        """Trigger an event with the inputs as they are at first; what it yields and returns."""
        event = next(d for d in self.config["dependencies"] if [component, name] in map(list, d["targets"]))
        values = {c["id"]: c["props"].get("value") for c in self.config["components"]}
        order = {
            "data": [values[each] for each in event["inputs"]],
            "fn_index": event["id"],
            "session_hash": self.page,
            "trigger_id": component,
            "event_data": None,
        }
        (await self.client.post("/gradio_api/queue/join", json=order)).raise_for_status()
        url = f"/gradio_api/queue/data?session_hash={self.page}"
        async with self.client.stream("GET", url) as stream:
            async for line in stream.aiter_lines():
                message = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
                if message.get("msg") in ("process_generating", "process_completed"):
                    yield message["output"]["data"]
                if message.get("msg") == "process_completed":
                    return

    async def click(self) -> float:
        """Choose the world that is chosen; the seconds until the page knows."""
        radio = next(c["id"] for c in self.config["components"] if c["type"] == "radio")
        began = time.monotonic()
        async for _ in self.event(radio, "input"):
            pass
        return time.monotonic() - began

    async def stay(self, connected: asyncio.Event) -> None:
        """Press Start and follow the session, until cancelled."""
        start = next(
            target[0] for d in self.config["dependencies"] for target in d["targets"] if target[1] == "start"
        )
        socket = None
        async for data in self.event(start, "start"):
            if socket is None:
                session = next(value for value in data[0]["props"].values() if value and value.get("path"))
                socket = asyncio.create_task(self.follow(session["path"], connected))
        if socket is not None:
            await socket

    async def follow(self, path: str, connected: asyncio.Event) -> None:
        """Be connected to a session, for as long as it lasts."""
        url = f"{self.client.base_url}{path}".replace("http", "ws", 1)
        async with websockets.connect(url) as socket:
            await socket.send(json.dumps({"type": "hello", "version": VERSION, "codecs": ["h264"]}))
            async for item in socket:
                connected.set()
                message = json.loads(item) if isinstance(item, str) else {}
                if message.get("type") == "block":
                    await socket.send(
                        json.dumps({"type": "ack", "block": message["block"], "buffer_ms": 400})
                    )


@contextlib.asynccontextmanager
async def crowd(address: str, visitors: int) -> AsyncIterator[Visitor]:
    """A further visitor, while so many are present, each playing or in the queue."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=address.rstrip("/") + "/", timeout=60, limits=limits) as client:
        config = (await client.get("/config")).json()
        present = [(Visitor(client, config), asyncio.Event()) for _ in range(visitors)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(visitor.stay(connected)) for visitor, connected in present]
            for _, connected in present:
                await asyncio.wait_for(connected.wait(), 60)
            try:
                yield Visitor(client, config)
            finally:
                for task in tasks:
                    task.cancel()


async def measure(address: str, visitors: int, clicks: int) -> dict:
    async with crowd(address, visitors) as visitor:
        times = [1000 * await visitor.click() for _ in range(clicks)]
    return {
        "visitors": visitors,
        "median_ms": round(statistics.median(times)),
        "longest_ms": round(max(times)),
    }


def main() -> None:
    from benchmarks.latency import app  # which needs a browser's package

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--visitors", type=int, default=45)
    parser.add_argument("--clicks", type=int, default=20)
    args = parser.parse_args()
    for visitors in (0, args.visitors):
        with app(120, "", {"queue": args.visitors}) as port:
            print(asyncio.run(measure(f"http://127.0.0.1:{port}", visitors, args.clicks)))


if __name__ == "__main__":
    main()
