"""How do the pictures hold up? Sharpness, likeness to the truth, and endurance, from unseen starts.

    python -m benchmarks.quality --modes universal gta_drive --starts 48 --json report.json
    python -m benchmarks.quality --truth --starts 4          # judges the judge, on true frames

From each start one run of 60 s: something that moves for the first second, then random actions as in
training. The renderer draws the true continuation of the same run, and at a few moments both are compared:

- "psnr": after 1 s, against the true frame, in dB, mean over the runs; "frozen": that of the start image;
  "better": share of runs that are nearer to the truth than the start image is, of those in which the truth
  has moved (that is, the frozen image has less than 30 dB).
- "sharpness": gradient energy (mean absolute difference of neighboring pixels) at 10 s, sum over all
  runs, over that of the true frames.
- "energy": the same at every 5 s, its least and its greatest value.
- "color": the histogram distance of a run: of red, green and blue, in 16 bins each, over all frames
  looked at in its second half, against the true ones; half the sum of absolute differences, mean over the
  three (0: the same, 1: nothing in common). Given are median and greatest value; "color_truth" is that
  between two true runs of the same theme, which says what is small.
- "collapsed": runs that at any moment have less than 0.3 or more than 2.5 times the gradient energy of the
  mode's true frames, or a color distance above 0.6; "collapsed_starts" are their numbers.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch

from benchmarks.runs import Run, Starts, command, draw, judge_modes, mean
from mgdemo.actions import ActionTrack
from mgdemo.blocks import FPS
from mgdemo.measure.pixels import color_distance, gradient, histogram, psnr
from training import motion

FIRST = FPS  # video frames that surely move
SHARP = 10 * FPS
EVERY = 5 * FPS
MOVES = {
    "universal": (
        ("forward",), ("left",), ("right",), ("look_left",), ("look_right",), ("forward", "look_right"),
    ),
    "gta_drive": (("accelerate",), ("accelerate", "steer_left"), ("accelerate", "steer_right"), ("brake",)),
    "templerun": ((), ("jump",), ("left",), ("right",), ("slide",)),
}  # fmt: skip


def tracks(mode: str, count: int, seconds: float) -> list[ActionTrack]:
    """One run a start: a second of motion, then random actions."""
    generator = torch.Generator().manual_seed(3)
    keyboard, mouse = motion.sample_actions(count, round(seconds * FPS), generator, mode)
    walks = [motion.as_track(mode, *rows) for rows in zip(keyboard, mouse, strict=True)]
    moves = MOVES[mode]
    return [
        ActionTrack.concat([ActionTrack.hold(mode, moves[i % len(moves)], frames=FIRST), walk]).frames(
            0, len(walk)
        )
        for i, walk in enumerate(walks)
    ]


def moments(frames: int) -> list[int]:
    """The video frames of a run at which it is looked at."""
    return sorted({FIRST, SHARP, *range(EVERY, frames, EVERY)})


class Found(NamedTuple):
    """Of the run from one start, and of the true one."""

    psnr: float
    frozen: float
    energy: np.ndarray  # gradient energy [2, moments]: made, true
    colors: np.ndarray  # histograms [2, 3, 16] of the second half: made, true


def look(starts: Starts, run: Run, index: int, seconds: float = 60) -> Found:
    """One run, of at least 10 s."""
    return compare(starts, index, *walk(starts, run, index, seconds, moments(round(seconds * FPS))))


def walk(
    starts: Starts, run: Run, index: int, seconds: float, wanted: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """The frames [wanted, H, W, 3] that a run shows and those that it should."""
    track = tracks(starts.mode, len(starts), seconds)[index]
    made = run(index, track, wanted)
    poses = starts.poses_along(index, [track])[:, wanted]
    return made, draw(starts.world.take(slice(index, index + 1)), poses, made.shape[1:3])[0]


def compare(starts: Starts, index: int, made: np.ndarray, true: np.ndarray) -> Found:
    """Frames at the `moments` of a run."""
    first, half = 0, len(made) // 2  # of the moments, the first is FIRST
    return Found(
        psnr(made[first], true[first]),
        psnr(np.asarray(starts.image(index)), true[first]),
        np.array([[gradient(frame) for frame in frames] for frames in (made, true)]),
        np.stack([histogram(frames[half:]) for frames in (made, true)]),
    )


def sum_up(starts: Starts, found: list[Found], seconds: float = 60) -> dict:
    """The figures of the module's text."""
    frames = round(seconds * FPS)
    made, true = np.stack([each.energy for each in found], axis=1)  # [starts, moments]
    energy = made.sum(0) / true.sum(0)
    shares = made / true.mean()
    colors = [color_distance(*each.colors) for each in found]
    themes = starts.world.theme.tolist()
    twins = [
        color_distance(found[a].colors[1], found[b].colors[1])
        for theme in set(themes)
        for a, b in pairwise(i for i, of in enumerate(themes) if of == theme)
    ]
    gone = [bool((s < 0.3).any() or (s > 2.5).any() or c > 0.6) for s, c in zip(shares, colors, strict=True)]
    better = [each.psnr > each.frozen for each in found if each.frozen < 30]
    return {
        "psnr": mean(each.psnr for each in found),
        "frozen": mean(each.frozen for each in found),
        "better": mean(better) if better else None,
        "sharpness": float(energy[moments(frames).index(SHARP)]),
        "energy": [float(energy.min()), float(energy.max())],
        "color": [float(np.median(colors)), max(colors)],
        "color_truth": mean(twins) if twins else None,
        "collapsed": sum(gone),
        "collapsed_starts": [i for i, lost in enumerate(gone) if lost],
        "seconds": frames / FPS,
    }


def table(_mode: str, result: dict) -> str:
    better = "-" if result["better"] is None else f"{result['better']:.1%}"
    twins = "-" if result["color_truth"] is None else f"{result['color_truth']:.2f}"
    (least, most), (median, worst) = result["energy"], result["color"]
    return "\n".join(
        [
            f"after 1 s: {result['psnr']:.1f} dB (frozen {result['frozen']:.1f}), better in {better}",
            f"gradient energy at 10 s: {result['sharpness']:.2f} of the true frames'",
            f"over {result['seconds']:g} s: {least:.2f} to {most:.2f}",
            f"color distance: median {median:.2f}, greatest {worst:.2f}; two true runs of a theme: {twins}",
            f"collapsed: {result['collapsed']} of {result['starts']} {result['collapsed_starts'] or ''}",
        ]
    )


def main() -> None:
    parser = command("quality", __doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of a run (default 60)")
    args = parser.parse_args()
    if args.seconds < 11:
        parser.error("--seconds must be at least 11, since sharpness is measured at 10 s")
    given = {"seconds": args.seconds}
    judge_modes(args, partial(look, **given), partial(sum_up, **given), table)


if __name__ == "__main__":
    main()
