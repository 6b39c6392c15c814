"""How much of a picture comes back when the page enlarges it? Plain scaling beside the player's shader.

    python -m benchmarks.scaling --starts 16 --json scaling.json
    python -m benchmarks.scaling --starts 2 --sheet sheet.png

The renderer draws true frames at three times the size that the worlds make. Averaged down to that size, they
are shown by the page's own player in a real headless Chromium at three times their size: plainly, and by the
shader (`mgdemo/ui/player/enlarger.js`; SwiftShader runs it where there is no GPU). What is seen is compared
with what the renderer drew:

- psnr: in dB, mean over the frames; ssim: structural similarity of the lightness, likewise.
- detail: variance of the Laplacian over that of the true frames (1: as much fine detail as there is).
- worst: the least that the shader gains on a frame over plain scaling (less than 0: it loses).

--sheet writes crops: plain, by the shader, and the truth; and below them what the embedded world makes in 2 s
from there, of which no truth is known, plain and by the shader.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.latency import FLAGS
from benchmarks.machine import chromium_path
from benchmarks.runs import SIZE, Starts, draw, embedded, mean, model_run
from benchmarks.stage import Stage
from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import FPS
from mgdemo.measure.pixels import detail, gray, psnr, ssim

TIMES = 3
LARGE = (TIMES * SIZE[0], TIMES * SIZE[1])
CROP = 216  # pixels of the enlarged picture, each way


class Pair:
    """A page that shows pictures plainly and one that shows them by the shader."""

    def __init__(self, browser):
        self.stages = {}
        for name, sharper in (("plain", False), ("shader", True)):
            stage = Stage(browser.new_page(), LARGE[1], LARGE[0])
            stage.configure(SIZE[1], SIZE[0], sharper)
            self.stages[name] = stage

    def show(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        """What is seen of a picture uint8 [h, w, 3]: uint8 [3h, 3w, 3] each."""
        return {name: stage.show(picture) for name, stage in self.stages.items()}


def averaged(picture: np.ndarray) -> np.ndarray:
    """A large picture in the worlds' size."""
    blocks = picture.reshape(SIZE[0], TIMES, SIZE[1], TIMES, 3).astype(np.float32)
    return blocks.mean((1, 3)).round().astype(np.uint8)


def judge(seen: np.ndarray, true: np.ndarray) -> dict[str, float]:
    return {
        "psnr": psnr(seen, true),
        "ssim": ssim(gray(seen), gray(true)),
        "detail": detail(seen) / detail(true),
    }


def sum_up(found: list[dict[str, dict[str, float]]]) -> dict:
    """The figures of the module's text, of frames judged by `judge`."""
    names = ("psnr", "ssim", "detail")
    means = {way: {name: mean(each[way][name] for each in found) for name in names} for way in found[0]}
    gains = [{name: each["shader"][name] - each["plain"][name] for name in names[:2]} for each in found]
    return means | {"worst": {name: min(gain[name] for gain in gains) for name in names[:2]}}


def crop(picture: np.ndarray) -> np.ndarray:
    """What lies below the middle: the most of a world's edges."""
    top, left = (LARGE[0] - CROP) * 2 // 3, (LARGE[1] - 2 * CROP) // 2
    return picture[top : top + CROP, left : left + 2 * CROP]


def made_by_the_world(starts: Starts, index: int) -> np.ndarray:
    """What the embedded world shows 2 s after a start, while it obeys the mode's first control."""
    name = embedded(starts.mode)
    assert name, f"no embedded world of {starts.mode} ships"
    first = MODES[starts.mode].controls[0].name
    track = ActionTrack.hold(starts.mode, [first], frames=2 * FPS)
    return model_run(name, "cpu", starts.image)(index, track, [2 * FPS - 1])[0]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scaling",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--starts", type=int, default=16, help="true frames per mode (default 16)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write crops to look at there")
    args = parser.parse_args()
    results, rows = {}, []
    with sync_playwright() as playwright:
        pair = Pair(playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS))
        for mode in args.modes:
            starts, found = Starts.draw(mode, args.starts), []
            for index in range(args.starts):
                true = draw(
                    starts.world.take(slice(index, index + 1)), starts.poses[index, None, None], LARGE
                )[0, 0]
                seen = pair.show(averaged(true))
                found.append({way: judge(picture, true) for way, picture in seen.items()})
                if args.sheet:
                    rows.append([*seen.values(), true])
                    made = [*pair.show(made_by_the_world(starts, index)).values()]
                    rows.append([*made, np.full_like(true, 255)])
            results[mode] = sum_up(found)
            print(line(mode, results[mode]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    if args.sheet:
        sheet = np.concatenate([np.concatenate([crop(each) for each in row], 1) for row in rows])
        Image.fromarray(sheet).save(args.sheet)


def line(mode: str, result: dict) -> str:
    ways = [
        f"{way} {{psnr:.2f}} dB, {{ssim:.4f}}, detail {{detail:.2f}}".format(**result[way])
        for way in ("plain", "shader")
    ]
    worst = "worst {psnr:+.2f} dB, {ssim:+.4f}".format(**result["worst"])
    return "; ".join([f"{mode}: {ways[0]}", ways[1], worst])


if __name__ == "__main__":
    main()
