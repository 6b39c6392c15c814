"""What does a block made again look like? How well it agrees before the splice, and how visible that is.

    python -m benchmarks.splice --starts 6 --json splice.json

When the controls change while a block plays, it is made again with the same noise, under the new actions from
latent frame 1 or 2 on (video frame 4 or 8 of 12), and takes the place of what is not shown yet. From each
start a few blocks are played under random controls; in each of them the controls change to others.

- psnr: of the frames before the splice, those shown against those of the block made again (dB; median and 5th
  percentile over all frames). The block's latent frames are made together, so they may differ.
- jump: mean absolute difference between the last frame shown and the one after the splice, over the ordinary
  difference between frames: the mean of that before or after the splice, whichever is larger.
- unspliced: the same in the block made again itself, as if it had been shown from its beginning. What jump
  exceeds it by is the splice's doing.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import machine
from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import config_named, start_images
from mgdemo.loading import load_world_model
from mgdemo.world import World

SPLICES = {1: 4, 2: 8}  # latent frame of a block → its first video frame
WARM_UP = 2  # blocks


def compare(first: np.ndarray, again: np.ndarray, splice: int) -> dict:
    """Two versions of a block, uint8 [T, H, W, 3], spliced at video frame `splice` (1 to T - 2)."""
    first, again = first.astype(np.float32), again.astype(np.float32)
    error = np.square(first[:splice] - again[:splice]).mean(axis=(1, 2, 3))
    ordinary = max(_steps(first[:splice]).mean(), _steps(again[splice:]).mean(), 1e-3)
    return {
        "psnr": 10 * np.log10(255**2 / np.maximum(error, 1e-2)),  # at most 68 dB
        "jump": float(np.abs(first[splice - 1] - again[splice]).mean() / ordinary),
        "unspliced": float(np.abs(again[splice - 1] - again[splice]).mean() / ordinary),
    }


def _steps(frames: np.ndarray) -> np.ndarray:
    """Mean absolute differences of neighbors."""
    return np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))


def judge(world: World, mode: str, blocks: int, choices: random.Random, found: dict[int, list[dict]]) -> None:
    """Plays on, and makes every block after the first ones again for each splice."""
    held: tuple[str, ...] = ()
    for block in range(WARM_UP + blocks):
        count = world.frames_next
        first = world.step(ActionTrack.hold(mode, held, None, count))
        changed = _other(mode, held, choices)
        for latent, splice in SPLICES.items() if block >= WARM_UP else ():
            before = ActionTrack.hold(mode, held, None, splice)
            after = ActionTrack.hold(mode, changed, None, count - splice)
            found[latent].append(
                compare(first, world.regenerate(ActionTrack.concat([before, after])), splice)
            )
        held = changed


def _other(mode: str, held: tuple[str, ...], choices: random.Random) -> tuple[str, ...]:
    """Up to two controls, not those that are held."""
    names = [control.name for control in MODES[mode].controls]
    while True:
        changed = tuple(choices.sample(names, choices.choice([0, 1, 1, 2])))
        if set(changed) != set(held):
            return changed


def summary(found: list[dict]) -> dict:
    psnr = np.concatenate([each["psnr"] for each in found])
    row = {"psnr_median": np.median(psnr), "psnr_p5": np.percentile(psnr, 5)}
    for name in ("jump", "unspliced"):
        values = [each[name] for each in found]
        row |= {f"{name}_median": np.median(values), f"{name}_p95": np.percentile(values, 95)}
    return {name: round(float(value), 2) for name, value in row.items()} | {"splices": len(found)}


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.splice",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", default="universal-tiny", help="a name of the catalog")
    parser.add_argument("--starts", type=int, default=6, help="start images and seeds (default 6)")
    parser.add_argument("--blocks", type=int, default=6, help="judged for each (default 6)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()

    mode, images = config_named(args.checkpoint).mode, start_images(args.checkpoint)
    model, found = load_world_model(args.checkpoint), defaultdict(list)
    for start in range(args.starts):
        world = model.start(Image.open(images[start % len(images)]), seed=args.seed + start)
        judge(world, mode, args.blocks, random.Random(args.seed + start), found)
    rows = {f"latent_{latent}": summary(each) for latent, each in sorted(found.items())}
    print(f"{args.checkpoint}: splices at a latent frame of the block")
    print("at   psnr median    p5   jump median   p95   unspliced median   p95  splices")
    for latent, row in zip(sorted(found), rows.values(), strict=True):
        print(
            "{latent:2}  {psnr_median:12.1f}  {psnr_p5:4.1f}  {jump_median:12.2f}  {jump_p95:4.2f}  "
            "{unspliced_median:17.2f}  {unspliced_p95:4.2f}  {splices:7}".format(latent=latent, **row)
        )
    if args.json:
        args.json.write_text(
            json.dumps({"machine": machine(), "checkpoint": args.checkpoint, **rows}, indent=1)
        )


if __name__ == "__main__":
    main()
