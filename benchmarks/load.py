"""Many visitors at once: does anybody see another's frames, is the queue's order kept, does play stay quick?

    python -m benchmarks.load --visitors 200 --playing 8 --seconds 60 --json load.json

The app is a process of its own, over stub worlds of the embedded ones' size on two worker processes. Every
visitor has an address behind a proxy and a seed, which stands in each frame that his world makes
(`benchmarks/watermark.py`). First one visitor plays alone, with a script and with a browser. Then all arrive
within `--seconds`, evenly: four real Chromium pages, which play until the others are gone, and scripts, which
wait, play for `--stay` seconds and leave in all the ways that visitors have: Stop, a closed tab, a reload in
play, impatience in the queue, or never connecting after Start. All frames that scripts get are decoded and
read, and those on a browser's canvas six times a second.

foreign_frames: frames with another one's seed. queue_order_kept: whoever had arrived before another came got
a place before, and no position in the queue ever grew. errors: refusals, messages that are not of the
protocol, lost connections, frames that are missing or out of order, errors on a page or in the server's log.
p95_ms: from a key to the first frame that obeys, when it is due on a script's screen or seen on a browser's
canvas (95th percentiles of both, and their mean); lone_p95_ms: the same of the lone visitor.
server: the server's own part of it, from an input's arrival to the block that obeys.
cores: that each side took while the crowd was there: web process, workers, films, scripts, browsers (with
`ray`, its nodes and their workers count there). With `--cores 2` all but the browsers share two cores, and
the browsers have the machine's others, as visitors have their own.
peak_mb: memory of the web process, its workers and those that draw films, together.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from playwright.async_api import Browser, async_playwright
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.browser_visitor import SETTLE, BrowserVisitor
from benchmarks.ending import end_by_sigterm
from benchmarks.latency import FLAGS
from benchmarks.machine import chromium_path, machine, split_cores, starting_on
from benchmarks.verdict import admitted, logged_errors, order_kept, positions_fell
from benchmarks.visitor import Plan, Record, Visitor
from benchmarks.watching import Cores, Memory
from devtools.ray_nodes import ray_nodes
from devtools.web_process import PATIENCE, Script, WebProcess, web_process

LEAVES = ("stop", "stop", "reload", "impatient", "stop", "close", "stop", "never")
BROWSERS = 4
NODES = 2  # of the engine `ray`, with a worker each
LONE_SECONDS = 60.0  # that the lone visitor plays, with each of both: some 70 keys, of which few are slowest
TELL_SECONDS = 10.0
BEGAN = time.monotonic()
LONE = 60_000  # numbers of lone visitors begin there
CONNECT_SECONDS, RECONNECT_SECONDS = 10, 3
LOADER, QUICK = "benchmarks.watermark:load", "benchmarks.watermark:load_quick"


@dataclass(frozen=True)
class Crowd:
    """So many visitors, some of them browsers, which compute on the cores named (None: on all). Seconds: in
    which they arrive, that a script plays, and that the lone visitor plays in each of both ways."""

    visitors: int
    browsers: int
    seconds: float
    stay: float
    lone: float
    browser_cores: set[int] | None = None


def settings(visitors: int, playing: int, engine: str, loader: str) -> dict[str, str]:
    values = {
        "loader": loader,
        "engine": engine,
        "device": "cpu,cpu" if playing > 1 and engine == "process" else "cpu",
        "sessions": playing,
        "queue": visitors,
        "session_seconds": 3600,  # the browsers stay to the end
        "record_seconds": 3600,
        "connect_seconds": CONNECT_SECONDS,
        "reconnect_seconds": RECONNECT_SECONDS,
        "keep_sessions": 1000,
        "trusted_proxies": "127.0.0.1",
        "log": "json",
    }
    return {f"MGDEMO_{name.upper()}": str(value) for name, value in values.items()}


async def measure(web: WebProcess, size: Crowd) -> dict:
    """Send the lone visitor, then the crowd; the figures."""
    async with Script(web, "127.0.0.1") as script, chromium(size) as browser:
        config = script.config
        say(f"one visitor plays alone, for {size.lone:.0f} s")
        with Server(web) as lone_server:
            alone = [await Visitor(web, config, LONE, Plan(stay=size.lone)).visit()]
        if browser is not None:
            say("one visitor plays alone with a browser")
            alone.append(await _lone_browser(browser, web, size.lone))
        say("the crowd comes")
        with Memory(web.process.pid) as memory, Server(web) as server, Cores(web.process.pid) as cores:
            crowd = await _crowd(web, config, browser, size)
    own = {"server": {"p95_ms": server.p95_ms, "lone_p95_ms": lone_server.p95_ms}, "cores": cores.mean}
    return verdict(alone, crowd, web.log.read_text()) | own | memory.peaks()


class Server:
    """Asks a server, before and after, how long it took from an input's arrival to the block that obeys."""

    def __init__(self, web: WebProcess):
        self._web = web

    def __enter__(self) -> Server:
        self._before = self._counts()
        return self

    def __exit__(self, *_) -> None:
        """The 95th percentile of those that came meanwhile, as Prometheus does it: evenly within a bucket."""
        counts = {end: number - self._before[end] for end, number in self._counts().items()}
        ends, up_to = list(counts), list(counts.values())
        wanted, self.p95_ms = 0.95 * up_to[-1], None
        if up_to[-1]:
            self.p95_ms = round(1000 * float(np.interp(wanted, [0, *up_to], [0, *ends])), 1)

    def _counts(self) -> dict[float, float]:
        """How many took so many seconds at most, for each end of a bucket."""
        text = httpx.get(f"{self._web.address}/metrics", timeout=PATIENCE).text
        samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
        buckets = [s for s in samples if s.name == "mgdemo_input_latency_seconds_bucket"]
        return {float(s.labels["le"]): s.value for s in buckets}


async def _lone_browser(browser: Browser, web: WebProcess, seconds: float) -> Record:
    leave = asyncio.Event()
    visitor = BrowserVisitor(browser, web.address, LONE + 1, leave)
    visiting = asyncio.create_task(visitor.visit())
    await visitor.plays.wait()
    asyncio.get_running_loop().call_later(SETTLE + seconds, leave.set)
    return await visiting


async def _crowd(web: WebProcess, config: dict, browser: Browser | None, size: Crowd) -> list[Record]:
    over, visits, pages, scripts = asyncio.Event(), [], [], []
    if browser is not None:
        numbers = range(1, size.browsers + 1)
        pages = [BrowserVisitor(browser, web.address, number, over) for number in numbers]
    stays = [asyncio.create_task(page.visit()) for page in pages]
    for page in pages:
        await page.plays.wait()
    telling = asyncio.create_task(_tell(pages, scripts, visits))
    wanted = size.visitors - len(pages)
    for number in range(wanted):
        plan = Plan(LEAVES[number % len(LEAVES)], size.stay)
        scripts.append(Visitor(web, config, len(pages) + 1 + number, plan))
        visits.append(asyncio.create_task(scripts[-1].visit()))
        await asyncio.sleep(size.seconds / max(1, wanted))
    records = list(await asyncio.gather(*visits))
    over.set()
    records += await asyncio.gather(*stays)
    telling.cancel()
    return records


async def _tell(pages: list[BrowserVisitor], scripts: list[Visitor], visits: list[asyncio.Task]) -> None:
    """Say now and then how far it is."""
    while True:
        records = [each.record for each in (*pages, *scripts)]
        gone = sum(visit.done() for visit in visits)
        played, troubles = sum(r.played for r in records), sum(len(r.trouble) for r in records)
        say(f"{len(records)} have come, {played} have played, {gone} are gone; {troubles} errors")
        await asyncio.sleep(TELL_SECONDS)


def say(words: str) -> None:
    """A line for whoever watches, with the seconds since the program began."""
    print(f"{time.monotonic() - BEGAN:4.0f} s: {words}", file=sys.stderr, flush=True)


@contextlib.asynccontextmanager
async def chromium(size: Crowd) -> AsyncIterator[Browser | None]:
    """The system's Chromium, if any pages are wanted."""
    if not size.browsers:
        yield None
        return
    path = chromium_path()
    async with contextlib.AsyncExitStack() as stack:
        with starting_on(size.browser_cores) if size.browser_cores else contextlib.nullcontext():
            playwright = await stack.enter_async_context(async_playwright())
            browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield await stack.enter_async_context(browser)


def verdict(alone: Sequence[Record], crowd: Sequence[Record], log: str) -> dict:
    """The figures, from what visitors saw and the server wrote."""
    errors = [f"{each.name}: {trouble}" for each in (*alone, *crowd) for trouble in each.trouble]
    errors += logged_errors(log)
    browsers = [each for each in crowd if each.name.startswith("browser")]
    scripts = [each for each in crowd if each not in browsers]
    lone_script, lone_browser = alone[:1], alone[1:]
    return {
        "visitors": len(crowd),
        "played": sum(each.played for each in crowd),
        "frames": sum(each.frames for each in crowd),
        "foreign_frames": sum(each.foreign for each in (*alone, *crowd)),
        "queue_order_kept": order_kept(scripts, admitted(log)) and all(map(positions_fell, crowd)),
        "longest_queue": max((max(each.positions, default=0) for each in crowd), default=0),
        "errors": len(errors),
        "p95_ms": _mean(percentile(scripts), percentile(browsers)),
        "lone_p95_ms": _mean(percentile(lone_script), percentile(lone_browser)),
        "presses": sum(len(each.latencies) for each in crowd),
        "scripts": {"p95_ms": percentile(scripts), "lone_p95_ms": percentile(lone_script)},
        "browsers": {"p95_ms": percentile(browsers), "lone_p95_ms": percentile(lone_browser)},
        "what_went_wrong": errors[:50],
    }


def percentile(records: Sequence[Record], share: float = 95) -> float | None:
    """Of all their latencies, in ms."""
    all_of_them = [each for record in records for each in record.latencies]
    return round(float(np.percentile(all_of_them, share)), 1) if all_of_them else None


def _mean(*values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 1) if known else None


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--visitors", type=int, default=200)
    parser.add_argument("--playing", type=int, default=8, help="at once (default 8)")
    parser.add_argument("--seconds", type=float, default=60, help="in which all arrive (default 60)")
    parser.add_argument("--stay", type=float, default=8, help="seconds that each script plays (default 8)")
    parser.add_argument("--lone", type=float, default=LONE_SECONDS, help="seconds of play alone, each way")
    parser.add_argument("--browsers", type=int, default=BROWSERS, help="of the visitors (default 4)")
    parser.add_argument(
        "--cores", type=int, metavar="N", help="for all but browsers (default: all share all)"
    )
    parser.add_argument("--engine", choices=("process", "ray"), default="process")
    parser.add_argument("--quick", action="store_true", help="worlds of 5 ms a block in place of 20")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    end_by_sigterm()
    browser_cores = None
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        if args.cores:
            own, browser_cores = split_cores(args.cores)
            stack.enter_context(starting_on(own))
        if args.engine == "ray":
            stack.enter_context(ray_nodes()).have(NODES)
        variables = settings(args.visitors, args.playing, args.engine, QUICK if args.quick else LOADER)
        with web_process(Path(folder), **variables) as web:
            size = Crowd(args.visitors, args.browsers, args.seconds, args.stay, args.lone, browser_cores)
            found = asyncio.run(measure(web, size))
    text = json.dumps(found | {"engine": args.engine, "quick": args.quick, "machine": machine()}, indent=1)
    print(text)
    if args.json:
        args.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
