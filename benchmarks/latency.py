"""How long from a key to a changed pixel? The whole page, in a real headless Chromium.

    python -m benchmarks.latency --presses 200 --json latency.json
    python -m benchmarks.latency --presses 60 --slow --no-regenerate

The app is the real one, with its service, worker process, H.264 and player; only the world is a stub
(`benchmarks/stub_world.py`) that takes 120 ms a block and paints what is held. The cases:

- direct: over loopback.
- nginx: through a real nginx with a path prefix, as behind a hosting proxy.
- rtt40: through a connection that takes 20 ms each way.
- disk: over loopback, with a disk that takes 0.3 s a write.
- slow (--slow): over loopback, with 600 ms a block, which is 25 % slower than real time.

Keys are pressed by the browser's own input events, at random moments, and held until the picture obeys; then
let go until it has gone back. A press counts from the event's time stamp to the animation frame that finds
the other level on the canvas (`benchmarks/latency.js`): the one in which the browser puts it on the screen.

median and p95 are of those times. send, wait and play say where the time goes: from the key to the message,
from there to the block that obeys, and from there to the screen (medians). buffer is the median of what the
player had in store when a block was there. frozen is the share of the time for which the picture stood still
longer than it should, counting stalls of more than 100 ms; longest is the longest time between two frames; cv
is the deviation of these times over their mean (frames of 40 ms on a screen of 60 Hz come every 33 or 50 ms,
which alone is 0.20). health is the longest that the health route took to answer. All times are in ms.

With --no-regenerate each case is also measured with MGDEMO_REGENERATE=0 (in JSON "direct whole" and so on):
then a press changes only blocks that are not yet begun.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import queue
import random
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from benchmarks import stub_world
from benchmarks.machine import chromium_path, machine
from devtools.ports import free_port
from mgdemo import scenario, ui
from mgdemo.actions import MODES
from mgdemo.blocks import FPS
from mgdemo.checkpoints import Entry
from mgdemo.config import CheckpointConfig
from mgdemo.serving import SessionService, Settings
from mgdemo.ui.library import Library
from mgdemo.video.films import PacketLog

MODE = MODES["universal"]
KEYS = ("KeyW", "KeyS", "KeyA", "KeyD")
BLOCK_MS, SLOW_MS = 120, 600
ONE_WAY = 0.02  # seconds, in the case rtt40
DISK_SECONDS = 0.3  # a write, in the case disk
PREFIX = "/worlds"  # in the case nginx
STALL = 100  # ms
SETTLE = 6  # seconds in which player and server find their pace
PATIENCE = 60  # seconds; only reached when something is broken
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
COLUMNS = (
    "median_ms",
    "p95_ms",
    "send_ms",
    "wait_ms",
    "play_ms",
    "buffer_ms",
    "frozen",
    "longest_ms",
    "cv",
    "health_ms",
)


# Figures


def figures(seen: dict, frame_ms: float) -> dict:
    """What was seen in the page (`latency.js`), summed up."""
    presses = [press for press in seen["presses"] if "shown" in press]
    answers = [press["shown"] - press["at"] for press in presses]
    stages = {"send_ms": ("at", "sent"), "wait_ms": ("sent", "made"), "play_ms": ("made", "shown")}
    whole = [press for press in presses if press.keys() >= {"sent", "made"}]
    return {
        "median_ms": _round(np.median(answers)),
        "p95_ms": _round(np.percentile(answers, 95)),
        "presses": len(answers),
        **{
            name: _round(statistics.median(press[end] - press[start] for press in whole)) if whole else None
            for name, (start, end) in stages.items()
        },
        "buffer_ms": _round(np.median(seen["buffers"])),
        **evenness(seen["shown"], frame_ms),
        "remade_blocks": seen["remade"],
        "probe_ms": _round(np.median(seen["polls"]), 2),
    }


def evenness(shown: list[tuple[float, int]], frame_ms: float, stall_ms: float = STALL) -> dict:
    """How evenly frames were shown, from when each was first seen (ms) and its tick (modulo TICKS)."""
    times, ticks = np.array(shown).T
    gaps = np.diff(times)
    lost = gaps[gaps > stall_ms] - frame_ms
    steps = np.diff(ticks) % stub_world.TICKS
    return {
        "frozen": _round(lost.sum() / gaps.sum(), 4),
        "longest_ms": _round(gaps.max()),
        "cv": _round(gaps.std() / gaps.mean(), 3),
        "frames_per_second": _round(1e3 * steps.sum() / gaps.sum(), 2),
        "skipped": int((steps - 1).clip(min=0).sum()),
    }


def _round(value: float, digits: int = 1) -> float:
    return round(float(value), digits)


# Lines between browser and app


def nginx_config(folder: Path, port: int, upstream: int, prefix: str) -> str:
    """An nginx for one app: takes the prefix off and lets WebSockets through. Writes only into the folder."""
    temporary = "\n".join(
        f"    {name}_temp_path {folder / name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
master_process off;
pid {folder / "nginx.pid"};
error_log stderr crit;
events {{}}
http {{
    access_log off;
{temporary}
    map $http_upgrade $connection_upgrade {{ default upgrade; "" close; }}
    server {{
        listen 127.0.0.1:{port};
        location {prefix}/ {{
            proxy_pass http://127.0.0.1:{upstream}/;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_upgrade;
        }}
    }}
}}
"""


@contextlib.contextmanager
def nginx(program: str, upstream: int) -> Iterator[str]:
    """The address of an app through nginx."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "nginx.conf").write_text(nginx_config(folder, port, upstream, PREFIX))
        process = subprocess.Popen([program, "-p", name, "-e", "stderr", "-c", str(folder / "nginx.conf")])
        try:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end and process.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}{PREFIX}/"
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def slow_line(upstream: int, one_way: float) -> Iterator[str]:
    """The address of an app through a line on which everything arrives `one_way` seconds later, in order."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while True:
                due, data = await line.get()
                await asyncio.sleep(due - loop.time())
                if not data:
                    return
                writer.write(data)  # at once: asyncio sets TCP_NODELAY
                await writer.drain()

        delivery = asyncio.create_task(deliver())
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                line.put_nowait((loop.time() + one_way, data))
        line.put_nowait((loop.time() + one_way, b""))
        with contextlib.suppress(ConnectionError):
            await delivery
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", upstream)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # the end of the measurement
            await asyncio.gather(carry(reader, back), carry(there, writer))

    async def run() -> None:
        async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
            stop = asyncio.Event()
            started.put((server.sockets[0].getsockname()[1], asyncio.get_running_loop(), stop))
            await stop.wait()

    started: queue.SimpleQueue[tuple] = queue.SimpleQueue()
    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    port, loop, stop = started.get(timeout=PATIENCE)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


@contextlib.contextmanager
def slow_disk(seconds: float) -> Iterator[None]:
    """Every write of a recording takes so long."""
    add = PacketLog.add

    def late(packets: PacketLog, data: bytes) -> tuple[int, int]:
        time.sleep(seconds)
        return add(packets, data)

    PacketLog.add = late
    try:
        yield
    finally:
        PacketLog.add = add


@contextlib.contextmanager
def health(port: int) -> Iterator[list[float]]:
    """How long the health route takes to answer, in ms; asked five times a second meanwhile."""
    over, answers = threading.Event(), []

    def ask() -> None:
        while not over.wait(0.2):
            began = time.perf_counter()
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/gradio_api/live-health", timeout=60
            ) as answer:
                answer.read()
            answers.append(1000 * (time.perf_counter() - began))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


# The app and its visitor


@contextlib.contextmanager
def app(block_ms: int, root_path: str, settings: dict) -> Iterator[int]:
    """The port of the real app over a stub world that takes `block_ms` a block."""
    config = CheckpointConfig(
        name=f"{MODE.name}-{block_ms}",
        title="Stub world",
        mode=MODE.name,
        height=stub_world.HEIGHT,
        width=stub_world.WIDTH,
        fps=FPS,
    )
    entry = Entry(config, available=True)
    with tempfile.TemporaryDirectory() as name:
        start = Path(name) / "start.png"
        Image.new("RGB", (stub_world.WIDTH, stub_world.HEIGHT), (40, 40, 40)).save(start)
        library = Library(lambda: [entry], lambda _name: [start], scenario.library)
        port = free_port()
        service = SessionService(
            Settings(
                port=port,
                root_path=root_path,
                loader="benchmarks.stub_world:load",
                stand_seconds=0,
                threads=1,
                record_seconds=36_000,
                record_dir=Path(name) / "plays",
                visitor_sessions=0,  # all come from one address
                visitor_starts=0,
                visitor_requests=0,
                **settings,
            )
        )
        demo = ui.build(service, library)
        ui.launch(demo, prevent_thread_lock=True, quiet=True)
        try:
            yield port
        finally:
            demo.close(verbose=False)
            service.close()


def visit(browser: Browser, address: str, presses: int, seed: int, frame_ms: float) -> dict:
    """Play there and press keys; the figures."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    for script in ("drawn.js", "latency.js"):
        page.add_init_script(path=Path(__file__).with_name(script))
    page.goto(address)
    player = page.locator("#play .player")
    expect(page.locator("#play .pad").first).to_be_visible(timeout=1000 * PATIENCE)
    page.locator("#play .start").click()
    expect(player).to_have_attribute("data-state", "playing", timeout=1000 * PATIENCE)
    page.evaluate(
        "(options) => latency.begin(options)",
        {
            "canvas": "#play canvas",
            "keys": _middle(stub_world.KEYS),
            "tick": _middle(stub_world.TICK),
            "names": {code: MODE.control(code).name for code in KEYS},
        },
    )
    moments = random.Random(seed)
    page.wait_for_timeout(1000 * SETTLE)
    page.evaluate("latency.clear()")
    for _ in range(presses):
        _press(page, moments)
    seen = page.evaluate("latency.figures()")
    page.close()
    return figures(seen, frame_ms)


def _press(page: Page, moments: random.Random) -> None:
    block_ms = 1000 * stub_world.block_frames(1) / FPS
    page.wait_for_timeout(moments.uniform(50, 50 + block_ms))
    code = moments.choice(KEYS)
    page.keyboard.down(code)
    _until(page, "true")
    page.wait_for_timeout(moments.uniform(20, 20 + block_ms))
    page.keyboard.up(code)
    _until(page, "false")


def _until(page: Page, changed: str) -> None:
    late = f"new Promise((_, fail) => setTimeout(fail, {1000 * PATIENCE}, 'The picture does not obey.'))"
    page.evaluate(f"Promise.race([latency.until({changed}), {late}])")


def _middle(patch: tuple[slice, slice]) -> list[int]:
    """x and y."""
    return [(axis.start + axis.stop) // 2 for axis in reversed(patch)]


def measure(case: str, browser: Browser, presses: int, seed: int, settings: dict) -> dict | str:
    """One case; a sentence where it cannot be measured."""
    program = shutil.which("nginx")
    if case == "nginx" and program is None:
        return "not measured: nginx is not installed (apt-get install nginx)"
    block_ms = SLOW_MS if case == "slow" else BLOCK_MS
    frame_ms = max(1000 / FPS, block_ms / stub_world.block_frames(1))
    with app(block_ms, PREFIX if case == "nginx" else "", settings) as port, contextlib.ExitStack() as stack:
        address = f"http://127.0.0.1:{port}/"
        if case == "nginx":
            address = stack.enter_context(nginx(program, port))
        elif case == "rtt40":
            address = stack.enter_context(slow_line(port, ONE_WAY))
        elif case == "disk":
            stack.enter_context(slow_disk(DISK_SECONDS))
        answers = stack.enter_context(health(port))
        found = visit(browser, address, presses, seed, frame_ms)
        return found | {"health_ms": _round(max(answers, default=math.nan))}


def table(rows: dict[str, dict | str]) -> str:
    width = max(map(len, rows))
    lines = [" ".join([" " * width, *(f"{name.removesuffix('_ms'):>8}" for name in COLUMNS), " presses"])]
    for name, row in rows.items():
        if isinstance(row, str):
            lines.append(f"{name:{width}} {row}")
            continue
        cells = [row[column] for column in COLUMNS]
        words = [f"{v:8.2%}" if c == "frozen" else f"{v:8}" for c, v in zip(COLUMNS, cells, strict=True)]
        lines.append(" ".join([f"{name:{width}}", *words, f"{row['presses']:8}"]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.latency",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--presses", type=int, default=200, help="in each case (default 200, about 5 minutes)"
    )
    parser.add_argument("--cases", default="direct,nginx,rtt40", help="some of direct,nginx,rtt40,disk")
    parser.add_argument("--slow", action="store_true", help="also a world slower than real time")
    parser.add_argument(
        "--no-regenerate", action="store_true", help="each case also without regenerated blocks"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the presses (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    cases = [*args.cases.split(","), *(["slow"] if args.slow else [])]
    switchable = "regenerate" in {item.name for item in fields(Settings)}
    ways = [("", {}), (" whole", {"regenerate": False})] if args.no_regenerate and switchable else [("", {})]
    path = chromium_path()
    environment = machine() | {
        "picture": f"{stub_world.WIDTH}x{stub_world.HEIGHT}, {FPS} frames/s",
        "block_ms": BLOCK_MS,
    }
    rows: dict[str, dict | str] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        environment["chromium"] = browser.version
        print(", ".join(f"{name} {value}" for name, value in environment.items()), flush=True)
        for case in cases:
            for name, settings in ways if case != "slow" else ways[:1]:  # it has no time to make any again
                rows[case + name] = measure(case, browser, args.presses, args.seed, settings)
                print(table({case + name: rows[case + name]}), flush=True)
        browser.close()
    environment["load_at_end"] = machine()["load"]
    print(f"\n{table(rows)}\nload at the end {environment['load_at_end']}")
    if args.json:
        args.json.write_text(json.dumps({"environment": environment, **rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
