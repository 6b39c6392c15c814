"""How fast does a world play on this machine's CPU? Video frames a second, encoding and transport included.

    python -m benchmarks.play_cpu --json report.json

Each row is one way of playing in one precision:

- served: what a visitor gets. The real service, with its queue, worker process, encoder and WebSocket, plays
  live to a client on this machine that presses keys, has nothing left to show and acknowledges every block as
  soon as it is there. So the worker is always late and makes blocks as fast as it can: each once (a key that
  comes just after a block began would have it made again), and without the limit that keeps live play from
  running much faster than real time.
- in process: the same loop without service and transport: a world's step, then the worker's H.264 encoder.

bfloat16 is measured where the CPU computes in it natively; it is then what the program chooses. The rows take
turns, a third of the blocks at a time, so that whatever else the machine does falls on all of them.

frames/s is frames over time; ms are those from one block (12 frames) to the next, median and 95th percentile;
dit, vae and encode are medians of the stages; `again` is that of a block made again from its latents, unseen,
as for a rewind or after the loss of a worker. The first 4 blocks are left out, because they encode the start
condition. `ready` is the time until the checkpoint is loaded (served: with the start of the worker
process), `first` the time until the first frame has arrived, from the same moment. Each served session starts
a new service, so these two are cold starts. `peak` is the most memory of the worker process (Linux).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import os
import pkgutil
import re
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.machine import machine
from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import FPS, block_frames, frames_in_blocks
from mgdemo.checkpoints import config_named, start_images
from mgdemo.devices import fast_bfloat16
from mgdemo.loading import load_world_model
from mgdemo.picture import StartImage
from mgdemo.random_actions import random_actions
from mgdemo.serving import SessionRequest, Settings
from mgdemo.video.encode import H264Encoder
from mgdemo.worker import pace
from mgdemo.world import WorldModel

ROUNDS = 3
WARM_UP = 4  # blocks
PATIENCE = 600  # seconds for a slow machine to load the model


def load_unpaced(checkpoint: str, **options) -> WorldModel:
    """A loader like `load_world_model`; blocks are not kept to the speed at which one plays."""
    pace.FASTEST = math.inf
    return load_world_model(checkpoint, **options)


def load_float32(checkpoint: str, **options) -> WorldModel:
    """As `load_unpaced`, for a CPU on which bfloat16 is chosen."""
    model = load_unpaced(checkpoint, **options)
    for net in (model.transformer, model.vae, model.image_encoder):
        net.float()
    return model


LOADERS = {"bfloat16": "benchmarks.play_cpu:load_unpaced", "float32": "benchmarks.play_cpu:load_float32"}


@dataclass
class Row:
    way: str
    precision: str
    ready: list[float] = field(default_factory=list)  # s
    first: list[float] = field(default_factory=list)  # s
    blocks: list[float] = field(default_factory=list)  # ms
    stages: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))  # ms
    peak: int | None = None  # bytes

    def figures(self) -> dict:
        """In JSON types; times in ms but for `ready_s` and `first_s`."""
        return {
            "way": self.way,
            "precision": self.precision,
            "frames_per_second": 1e3 * block_frames(1) * len(self.blocks) / sum(self.blocks),
            "block": statistics.median(self.blocks),
            "block_p95": float(np.percentile(self.blocks, 95)),
            **{name: statistics.median(self.stages[name]) for name in ("dit", "vae", "encode")},
            "again": statistics.median(self.stages["again"]) if "again" in self.stages else None,
            "ready_s": statistics.median(self.ready),
            "first_s": statistics.median(self.first),
            "peak_bytes": self.peak,
            "blocks": len(self.blocks),
        }


def in_process(row: Row, checkpoint: str, image: Image.Image, track: ActionTrack) -> None:
    """A session along the track, by the worker's own steps."""
    begin = time.perf_counter()
    model = pkgutil.resolve_name(LOADERS[row.precision])(checkpoint, device="cpu")
    row.ready.append(time.perf_counter() - begin)
    world, encoder = model.start(image, seed=1), H264Encoder(*model.size[::-1], model.fps)
    latents = []
    for block in range(track.blocks):
        started = time.perf_counter()
        frames = world.step(track.block(block))
        made = time.perf_counter()
        for i, frame in enumerate(frames):
            encoder.encode(frame)
            if not block and not i:
                row.first.append(time.perf_counter() - begin)
        done = time.perf_counter()
        latents.append(world.latents)
        if block >= WARM_UP:
            row.blocks.append(1e3 * (done - started))
            for name, ms in (world.timings | {"encode": 1e3 * (done - made)}).items():
                row.stages[name].append(ms)
    world = model.start(image, seed=1)
    for block in range(track.blocks):
        started = time.perf_counter()
        world.repeat(track.block(block), latents[block], shown=False)
        if block >= WARM_UP:
            row.stages["again"].append(1e3 * (time.perf_counter() - started))


async def served(row: Row, checkpoint: str, image: Image.Image, track: ActionTrack, threads: int) -> None:
    """A live session from a new service, pressing what the track holds."""
    from devtools import live_player  # not needed by the worker, which imports this file for `load_float32`

    live_player.PATIENCE = PATIENCE
    with tempfile.TemporaryDirectory() as folder:
        loader = LOADERS[row.precision]
        begin = time.perf_counter()
        server = live_player.Server(
            Settings(device="cpu", threads=threads, loader=loader, record_dir=Path(folder), regenerate=False)
        )
        session = server.service.open(SessionRequest(checkpoint, StartImage(None, image), seed=1))
        async with live_player.Player(server, session.token) as player:
            await player.until(lambda: player.of("welcome"))
            row.ready.append(time.perf_counter() - begin)
            await player.until(lambda: player.frames)
            row.first.append(time.perf_counter() - begin)
            before = begin
            for block in range(track.blocks):
                await player.press(*held(track.block(block)))
                message = await player.block(block)
                arrived = time.perf_counter()
                if block >= WARM_UP:
                    row.blocks.append(1e3 * (arrived - before))
                    for name, ms in message["timings"].items():
                        row.stages[name].append(ms)
                before = arrived
        row.peak = child_peak()
        server.close()


def held(rows: ActionTrack) -> tuple[str, ...]:
    """The controls that are held in the last of some rows."""
    return MODES[rows.mode].held(rows.keyboard[-1], None if rows.mouse is None else rows.mouse[-1])


def child_peak() -> int | None:
    """The most memory that this process's child has held, in bytes; None where /proc does not tell."""
    for path in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):  # a process that has just ended
            status = path.read_text()
            if f"PPid:\t{os.getpid()}\n" in status:
                return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status)[1])
    return None


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.play_cpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", default="universal-tiny", help="a name of the catalog")
    parser.add_argument("--blocks", type=int, default=60, help="blocks measured for each row (default 60)")
    parser.add_argument("--threads", type=int, default=2, help="of the model (default 2)")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    config = config_named(args.checkpoint)
    image = Image.open(start_images(args.checkpoint)[0]).convert("RGB")
    track = random_actions(config.mode, frames_in_blocks(WARM_UP + max(1, args.blocks // ROUNDS)), seed=1)
    torch.set_num_threads(args.threads)
    here = machine() | {
        "threads": args.threads,
        "native_bfloat16": fast_bfloat16(),
        "torch": torch.__version__,
    }
    print(", ".join(f"{name} {value}" for name, value in here.items()), flush=True)
    precisions = list(LOADERS) if fast_bfloat16() else ["float32"]
    rows = [Row(way, precision) for way in ("served", "in process") for precision in precisions]
    for _ in range(ROUNDS):
        for row in rows:
            if row.way == "served":
                asyncio.run(served(row, args.checkpoint, image, track, args.threads))
            else:
                in_process(row, args.checkpoint, image, track)

    results = [row.figures() for row in rows]
    print(f"{args.checkpoint}, {config.width}x{config.height}, {FPS} frames/s are real time")
    head = "way         precision  frames/s  ms/block   p95   dit   vae  encode  again"
    print(f"{head}    ready    first  peak")
    for result in results:
        peak = f"{result['peak_bytes'] / 1e6:.0f} MB" if result["peak_bytes"] else "-"
        again = "-" if result["again"] is None else f"{result['again']:.0f}"
        seconds = f"{result['ready_s']:5.1f} s  {result['first_s']:5.1f} s"
        print(
            "{way:10}  {precision:9}  {frames_per_second:8.1f}  {block:8.0f}  {block_p95:4.0f}  {dit:4.0f}  "
            "{vae:4.0f}  {encode:6.1f}".format(**result),
            f"{again:>6}  {seconds}  {peak}",
        )
    if args.json:
        args.json.write_text(json.dumps({"machine": here, "rows": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
