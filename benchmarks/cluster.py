"""Do twice the nodes play twice the sessions? The engine `ray` on a cluster of 1, 2, 4 nodes on this machine.

    python -m benchmarks.cluster --nodes 1,2,4

Each node has room for one worker. Its stub world waits for 100 ms a block, as one waits for a GPU, so that
this machine's cores are not the limit: a worker plays four sessions, which keep it busy 400 of 480 ms. The
app is a process of its own; each session has a page that takes its frames and acknowledges its blocks, at the
speed of playing. For each number of nodes: the frames a second of all sessions, what that is of 25 for each,
the 95th percentile of by how much blocks missed the moment when a player runs dry, and the cores that the web
process took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import struct
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import websockets

from benchmarks import stub_world
from benchmarks.machine import machine
from devtools.ray_nodes import ray_nodes
from devtools.web_process import PATIENCE, Script, WebProcess, web_process
from mgdemo import messages as m
from mgdemo.blocks import FPS

EACH = 4  # sessions of a node
SETTLE = 5.0  # seconds after all sessions have shown something
FRAME = struct.Struct("<4xI")  # of a packet's head: the video frame

SETTINGS = {
    **{"engine": "ray", "loader": "benchmarks.cluster:load", "threads": 1, "regenerate": 0},
    **{
        "sessions": 1000,
        "engine_sessions": EACH,
        "visitor_sessions": 0,
        "visitor_starts": 0,
        "visitor_requests": 0,
    },
    **{"visitor_connections": 0, "idle_seconds": 0, "record_seconds": 36000},
}


def load(checkpoint: str, **options) -> stub_world.Model:
    """A stub world whose blocks take 100 ms."""
    return stub_world.load_small("universal-100", **options)


@dataclass
class Shown:
    """What came to all pages. late: milliseconds for which a player had nothing to show, for each block."""

    frames: int = 0
    late: list[float] = field(default_factory=list)


async def play(web: WebProcess, token: str, shown: Shown, begun: asyncio.Event) -> None:
    """A page that shows 25 frames a second from the first one on, and waits where none is there."""
    async with websockets.connect(web.live(token), compression=None) as socket:
        hello = m.Hello(version=m.VERSION, codecs=("h264",))
        await socket.send(hello.model_dump_json())
        last, block, dry = -1, 0, 0.0  # dry: when all frames that are there have been shown
        async for item in socket:
            now = time.monotonic()
            if isinstance(item, bytes):
                shown.frames += 1
                dry = max(dry, now) + 1 / FPS
                if FRAME.unpack_from(item)[0] == last:
                    left = 1000 * (dry - now)
                    await socket.send(json.dumps({"type": "ack", "block": block, "buffer_ms": left}))
            elif item.startswith('{"type":"block"'):
                message = json.loads(item)
                last, block = message["first_frame"] + message["frames"] - 1, message["block"]
                if block:
                    shown.late.append(1000 * max(0.0, now - dry))
                begun.set()


async def measure(web: WebProcess, nodes: int, seconds: float) -> dict:
    """The row of figures for so many nodes."""
    shown, pages = Shown(), []
    async with asyncio.timeout(PATIENCE), Script(web, "127.0.0.1") as script:
        while len(web.health()["workers"]) < nodes:
            await asyncio.sleep(0.2)
        for _ in range(EACH * nodes):
            token, begun = (await script.start())["token"], asyncio.Event()
            pages.append((asyncio.create_task(play(web, token, shown, begun)), begun))
    for _, begun in pages:
        await asyncio.wait_for(begun.wait(), PATIENCE)
    await asyncio.sleep(SETTLE)
    shown.frames, shown.late = 0, []
    began, before = time.monotonic(), _cpu_seconds(web.process.pid)
    await asyncio.sleep(seconds)
    took, cpu = time.monotonic() - began, _cpu_seconds(web.process.pid) - before
    workers = web.health()["workers"]
    for page, _ in pages:
        page.cancel()
    await asyncio.gather(*(page for page, _ in pages), return_exceptions=True)
    return {
        "nodes": len([worker for worker in workers if worker["running"]]),
        "sessions": len(pages),
        "frames_a_second": round(shown.frames / took, 1),
        "share": round(shown.frames / took / FPS / len(pages), 3),
        "late_p95_ms": round(float(np.percentile(shown.late or [np.inf], 95)), 1),
        "web_cores": round(cpu / took, 2),
    }


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", default="1,2,4", help="numbers of them, growing")
    parser.add_argument("--seconds", type=float, default=15, help="for each number (default 15)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    variables, rows = {f"MGDEMO_{name.upper()}": str(value) for name, value in SETTINGS.items()}, []
    with ray_nodes() as cluster:
        for number in sorted(map(int, args.nodes.split(","))):
            cluster.have(number)
            with tempfile.TemporaryDirectory() as folder, web_process(Path(folder), **variables) as web:
                rows.append(asyncio.run(measure(web, number, args.seconds)))
            print(json.dumps(rows[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
