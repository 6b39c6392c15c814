"""How many displayed sessions can one web process relay? Packets are made once; no world, no encoder.

    python -m benchmarks.relay --sessions 50,100,150,200

The whole app, in a process of its own, over a worker that sends packets of the published size at 25 frames a
second and session (`benchmarks/relay_worker.py`). Each session has a page that takes its frames and
acknowledges its blocks. For each number of sessions: the frames that came a second and session, the 95th
percentile of the time from a block's announcement by the worker to its last frame at the page, and the cores
that web process, worker and pages took.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import struct
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import websockets

from benchmarks.ending import end_by_sigterm
from benchmarks.machine import machine
from benchmarks.watching import cpu_seconds, resident, workers
from devtools.web_process import PATIENCE, Script, WebProcess, web_process
from mgdemo import messages as m

SETTLE = 3.0  # seconds after the last one of them has come
OPENING = 8  # pages at once
FRAME = struct.Struct("<4xI")  # of a packet's head: the video frame

SETTINGS = {
    **{
        "sessions": 2000,
        "visitor_sessions": 0,
        "visitor_starts": 0,
        "visitor_requests": 0,
        "visitor_connections": 0,
    },
    **{"record_seconds": 36000, "idle_seconds": 0, "keep_sessions": 5000, "device": "cpu"},
}


@dataclass
class Counted:
    """Since the last `clear`. lags: milliseconds; lost: connections."""

    frames: int = 0
    bytes: int = 0
    lags: list[float] = field(default_factory=list)
    lost: int = 0

    def clear(self) -> None:
        self.frames = self.bytes = 0
        self.lags.clear()


async def show(web: WebProcess, token: str, counted: Counted) -> None:
    """A page: takes what comes, acknowledges blocks."""
    try:
        async with websockets.connect(web.live(token), compression=None, max_size=2**22) as socket:
            hello = m.Hello(version=m.VERSION, codecs=("h264",))
            await socket.send(hello.model_dump_json())
            last, began, block = -1, 0.0, 0
            async for item in socket:
                if isinstance(item, bytes):
                    counted.frames += 1
                    counted.bytes += len(item)
                    if FRAME.unpack_from(item)[0] == last:
                        counted.lags.append(1000 * time.monotonic() - began)
                        await socket.send(f'{{"type": "ack", "block": {block}, "buffer_ms": 400}}')
                elif item.startswith('{"type":"block"'):
                    message = json.loads(item)
                    last = message["first_frame"] + message["frames"] - 1
                    block, began = message["block"], message["made_ms"]
    except (OSError, websockets.WebSocketException):
        pass
    counted.lost += 1


async def measure(web: WebProcess, numbers: list[int], seconds: float) -> list[dict]:
    """A row of figures for each number of sessions; they only become more."""
    counted, shows, rows = Counted(), set(), []
    slots = asyncio.Semaphore(OPENING)
    async with Script(web, "127.0.0.1") as script:

        async def come() -> None:
            async with slots, another(web, script.config) as visitor:
                told = await visitor.start()
                shows.add(asyncio.create_task(show(web, told["token"], counted)))

        for number in numbers:
            await asyncio.gather(*[come() for _ in range(number - len(shows))])
            await asyncio.sleep(SETTLE)
            rows.append(await _row(web, number, seconds, counted))
            print(json.dumps(rows[-1]), flush=True)
        for each in shows:
            each.cancel()
        await asyncio.gather(*shows, return_exceptions=True)
    return rows


@contextlib.asynccontextmanager
async def another(web: WebProcess, config: dict):
    """A visitor whose page is known already."""
    visitor = Script(web, "127.0.0.1")
    visitor.config = config
    try:
        async with asyncio.timeout(PATIENCE):
            yield visitor
    finally:
        await visitor.client.aclose()


async def _row(web: WebProcess, number: int, seconds: float, counted: Counted) -> dict:
    pid, worker = web.process.pid, workers(web.process.pid)[0]
    processes = {"web_cores": pid, "worker_cores": worker, "pages_cores": os.getpid()}
    counted.clear()
    began, before = time.monotonic(), {name: cpu_seconds(each) for name, each in processes.items()}
    await asyncio.sleep(seconds)
    took = time.monotonic() - began
    return {
        "sessions": number,
        "frames_a_second": round(counted.frames / took / number, 2),
        "lag_p95_ms": round(float(np.percentile(counted.lags or [np.inf], 95)), 1),
        "packets_a_second": round(counted.frames / took),
        "megabytes_a_second": round(counted.bytes / took / 1e6, 1),
        **{name: round((cpu_seconds(each) - before[name]) / took, 2) for name, each in processes.items()},
        "web_mb": resident(pid) // 10**6,
        "lost": counted.lost,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.relay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sessions", default="50,100,150,200", help="numbers of them, growing")
    parser.add_argument("--seconds", type=float, default=15, help="for each number (default 15)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    end_by_sigterm()
    variables = {f"MGDEMO_{name.upper()}": str(value) for name, value in SETTINGS.items()}
    numbers = sorted(map(int, args.sessions.split(",")))
    with (
        tempfile.TemporaryDirectory() as folder,
        web_process(Path(folder), module="benchmarks.relay_worker", **variables) as web,
    ):
        rows = asyncio.run(measure(web, numbers, args.seconds))
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
