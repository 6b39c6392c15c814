"""Do memory, descriptors, threads and the disk stay flat over thousands of visitors?

    python -m benchmarks.soak --arrivals 2000

The app is a process of its own over small stub worlds. Visitors come one after the other, eight at a time,
press Start, get a few blocks, and leave in all the ways that there are: Stop, a closed tab, a reload, giving
up in the queue, or never connecting. Four times on the way, when all have left and the garbage is collected,
a line says what the web process and its worker use.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from benchmarks.ending import end_by_sigterm
from benchmarks.machine import machine
from benchmarks.verdict import logged_errors
from benchmarks.visitor import Plan, Record, Visitor
from benchmarks.watching import Use, children, use
from devtools.web_process import PATIENCE, Script, WebProcess, web_process

LEAVES = ("stop", "close", "reload", "never", "stop", "impatient")
AT_ONCE, PLAYING = 12, 8
STAY = 0.2  # seconds, and until the picture has obeyed a key
MARKS = 4  # lines on the way
QUIET_SECONDS = 4.0  # after which nothing of the last visitors is under way

SETTINGS = {
    **{"sessions": PLAYING, "queue": AT_ONCE, "loader": "benchmarks.watermark:load"},
    **{"connect_seconds": 1, "reconnect_seconds": 1, "keep_sessions": 20, "log": "json"},
}
# On a signal, a process collects its garbage and gives free memory back to the system.
COLLECTOR = """\
import ctypes, gc, signal
signal.signal(signal.SIGUSR1, lambda *_: (gc.collect(), ctypes.CDLL(None).malloc_trim(0)))
"""


async def soak(web: WebProcess, arrivals: int) -> dict:
    """The visitors; figures at the start and at each mark."""
    rows, troubles, left = [], Counter(), 0
    async with Script(web, "127.0.0.1") as script:
        await _visits(web, script.config, range(AT_ONCE), troubles)  # what is made once is there
        rows.append(await _row(web, 0))
        for mark in range(1, MARKS + 1):
            wanted = arrivals * mark // MARKS
            await _visits(web, script.config, range(AT_ONCE + left, AT_ONCE + wanted), troubles)
            left = wanted
            rows.append(await _row(web, wanted))
    return {
        "rows": rows,
        "trouble": dict(troubles.most_common(20)),
        "log": logged_errors(web.log.read_text()),
    }


async def _visits(web: WebProcess, config: dict, numbers: range, troubles: Counter[str]) -> None:
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> Record:
        async with slots:
            plan = Plan(LEAVES[number % len(LEAVES)], STAY)
            return await Visitor(web, config, number + 1, plan, page=False).visit()

    for record in await asyncio.gather(*map(one, numbers)):
        troubles.update(record.trouble)


async def _row(web: WebProcess, arrivals: int) -> dict:
    """What is used when all have left."""
    async with asyncio.timeout(PATIENCE):
        while (health := await asyncio.to_thread(web.health))["playing"] or health["queued"]:
            await asyncio.sleep(0.2)
    await asyncio.sleep(QUIET_SECONDS)
    pids = [web.process.pid, *children(web.process.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGUSR1)
    await asyncio.sleep(1)
    row = {
        "arrivals": arrivals,
        "web": asdict(use(pids[0])),
        "workers": asdict(sum(map(use, pids[1:]), Use())),
    }
    row["disk_mb"] = round(sum(f.stat().st_size for f in web.folder.rglob("*") if f.is_file()) / 1e6, 1)
    row["log_mb"] = round(web.log.stat().st_size / 1e6, 2)
    print(json.dumps(row), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--arrivals", type=int, default=2000)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    end_by_sigterm()
    variables = {f"MGDEMO_{name.upper()}": str(value) for name, value in SETTINGS.items()}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "collector").mkdir()
        (place / "collector" / "sitecustomize.py").write_text(COLLECTOR)
        began = time.monotonic()
        paths = os.pathsep.join(filter(None, [str(place / "collector"), os.environ.get("PYTHONPATH")]))
        with web_process(place, PYTHONPATH=paths, **variables) as web:
            found = asyncio.run(soak(web, args.arrivals))
    found |= {"seconds": round(time.monotonic() - began), "machine": machine()}
    print(json.dumps({key: value for key, value in found.items() if key != "rows"}))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
