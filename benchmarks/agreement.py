"""Do the measures of a comparison and the flow judge of `benchmarks.controllability` say the same?

    python -m benchmarks.agreement --starts 16 --workers 2 --json agreement.json
    python -m benchmarks.agreement --truth --starts 4

Both look at the same frames: the scripts of `controllability`, from the same unseen starts, in the blocks
that it judges. It asks of each block whether it moves as what is held says; `follows` asks that of windows
of 6 frames (templerun: 3). "blocks" and "windows" are shares of right ones by what was held, "apart" is their
difference in points; the first line has the means over what was held. "run" is `follows` over whole runs, as
a comparison reports it: with the first block, and the time that it takes to come into motion.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

from benchmarks.controllability import (
    SCRIPTS,
    Held,
    free,
    judged_blocks,
    pairs_of,
    right_block,
    track_of,
)
from benchmarks.runs import SIZE, Run, Starts, command, judge_modes, mean
from mgdemo.blocks import block_frames, frames_in_blocks
from mgdemo.measure.camera import Geometry
from mgdemo.measure.follows import Follows


class Found(NamedTuple):
    """Verdicts from one start by what was held, and the scores of whole runs."""

    blocks: dict[Held, list[bool]]
    windows: dict[Held, list[bool]]
    runs: list[float]


def look(starts: Starts, run: Run, index: int) -> Found:
    """All scripts from one start."""
    mode, geometry = starts.mode, Geometry(starts.mode, SIZE)
    blocks, windows, scores = defaultdict(list), defaultdict(list), []
    for script in SCRIPTS[mode]:
        if not free(starts, index, script):
            continue
        track = track_of(mode, script)
        frames = run(index, track, list(range(len(track))))
        follows = Follows(track)
        for frame in frames:
            follows.add(frame)
        if (score := follows.result()["score"]) is not None:
            scores.append(score)
        for b in judged_blocks(mode, script):
            first, held = frames_in_blocks(b), script[b]
            reading = {
                (i, j): geometry.read(frames[first + i], frames[first + j], j - i)
                for i, j in pairs_of(mode, held)
            }
            blocks[held].append(right_block(mode, held, reading))
            windows[held] += [
                bool(window.right)
                for window in follows.windows
                # Not those in which a runner, having stepped aside or ducked, only runs on.
                if set(window.held) == set(held)
                and first <= window.start
                and window.end <= first + block_frames(b)
            ]
    return Found(blocks, windows, scores)


def sum_up(starts: Starts, found: list[Found]) -> dict:
    blocks, windows = defaultdict(list), defaultdict(list)
    for each in found:
        for whole, part in zip((blocks, windows), each, strict=False):
            for held, verdicts in part.items():
                whole[held] += verdicts
    both = [held for held in blocks if windows[held]]
    name = {held: "+".join(held) or ("run" if starts.mode == "templerun" else "idle") for held in both}
    rows = {name[held]: (mean(blocks[held]), mean(windows[held])) for held in both}
    return {
        "blocks": mean(row[0] for row in rows.values()),
        "windows": mean(row[1] for row in rows.values()),
        "run": mean(score for each in found for score in each.runs),
        "held": {held: {"blocks": row[0], "windows": row[1]} for held, row in rows.items()},
        "counts": {name[held]: [len(blocks[held]), len(windows[held])] for held in both},
    }


def table(_mode: str, result: dict) -> str:
    apart = 100 * (result["windows"] - result["blocks"])
    rows = [
        f"blocks {result['blocks']:.1%}, windows {result['windows']:.1%}: {apart:+.1f} points apart; "
        f"whole runs follow {result['run']:.1%}",
        f"{'held':24}{'blocks':>8}{'windows':>9}{'apart':>8}",
    ]
    for name, row in result["held"].items():
        apart = 100 * (row["windows"] - row["blocks"])
        rows.append(f"{name:24}{row['blocks']:8.1%}{row['windows']:9.1%}{apart:+8.1f}")
    return "\n".join(rows)


def main() -> None:
    judge_modes(command("agreement", __doc__).parse_args(), look, sum_up, table)


if __name__ == "__main__":
    main()
