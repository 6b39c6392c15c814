"""Does a run stay as it is? Time per block and memory of one long run: `python -m benchmarks.endless`.

Prints, at blocks 10, 100, 1000 and so on, the median time of a block since the line before, what the world
holds, and what the process holds. By default with a tiny random model, since only growth matters here.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from pathlib import Path

import torch

from devtools.tiny import held_tensors, tiny_image, tiny_model
from mgdemo.blocks import frames_in_blocks
from mgdemo.random_actions import random_actions


def resident_bytes() -> int:
    """What the process has in memory (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--blocks", type=int, default=3000, help="length of the run (default 3000)")
    parser.add_argument("--mode", default="universal")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    torch.set_num_threads(1)
    world = tiny_model(args.mode).start(tiny_image(), seed=1)
    track = random_actions(args.mode, frames_in_blocks(args.blocks), seed=1)
    stops = [stop for stop in (10, 30, 100, 300, 1000, 3000, 10_000, 30_000) if stop < args.blocks]
    stops.append(args.blocks)
    rows, times = [], []
    print("blocks  ms per block (median)  world holds  process holds")
    for block in range(args.blocks):
        begin = time.perf_counter()
        world.step(track.block(block))
        times.append(1e3 * (time.perf_counter() - begin))
        if block + 1 in stops:
            held = sum(tensor.untyped_storage().nbytes() for tensor in held_tensors(world))
            row = {
                "blocks": block + 1,
                "ms": statistics.median(times),
                "world": held,
                "process": resident_bytes(),
            }
            print("{blocks:6d}  {ms:21.2f}  {world:8,d} B  {process:13,d} B".format(**row))
            rows.append(row)
            times.clear()
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
