"""Does the picture do what the keys say? Every control, and the pairs that matter, from unseen starts.

    python -m benchmarks.controllability --modes universal gta_drive --starts 48 --json report.json
    python -m benchmarks.controllability --truth --starts 8          # judges the judges, on true frames

Each start is played along the mode's scripts (`SCRIPTS`), 6 blocks or 69 video frames each. Two judges look:

**The flow judge** sees nothing but the motion, read from pairs of frames of a block in the mode's axes
(`mgdemo.measure.camera`): a perfect answer to "forward" reads ahead 1, and the rest 0. What a block should
read stands in `EXPECTED`: it is right if each of these numbers has the right sign and at least a quarter of
its size, and no other axis reads more. A run is right if more than half of its judged blocks are; with no key
held, if no axis reads more than 0.1.

**The strict judge** knows the world. From the true pose at the start of a block it draws what each of the
mode's actions would show (at a quarter of the size), and asks which of these is nearest to the picture at
two moments of the block. A block is right if the action that was held is.

"controls" and "pairs" are shares of right runs, "overall" is their mean, "wrong" tells the starts of the
others; "strict" are shares of right blocks; "yaw" is the median, over runs, of the angle turned in 2 s
(templerun: in a turn), read from the picture, over the true one. A start from where the true camera is
hindered is left out of that script.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import torch

from benchmarks.runs import SIZE, Run, Starts, command, draw, judge_modes, mean
from mgdemo.actions import ActionTrack
from mgdemo.blocks import block_frames, frames_in_blocks
from mgdemo.measure.camera import AXES, Geometry
from mgdemo.measure.follows import LEAST, STILL
from training import motion

BLOCKS = 6
Held = tuple[str, ...]
Reading = dict[tuple[int, int], np.ndarray]  # of pairs of frames of a block


class Sign(NamedTuple):
    """What the median of some pairs of frames should read on an axis."""

    axis: str
    size: float
    pairs: tuple[tuple[int, int], ...] = ((2, 4), (5, 7), (8, 10))


def _drives(**sizes: float) -> tuple[Sign, ...]:
    """A car is fast: over two frames the bars of a crossing would be taken for one another."""
    steps = tuple((i, i + 1) for i in (2, 3, 5, 6, 8, 9))
    return tuple(Sign(axis, size, steps) for axis, size in sizes.items())


_EARLY, _LATE = ((1, 2), (2, 3), (3, 4)), ((8, 9), (9, 10), (10, 11))
_AHEAD = Sign("ahead", 1, ((5, 6), (6, 7)))
EXPECTED: dict[str, dict[Held, tuple[Sign, ...]]] = {
    "universal": {
        ("forward",): (Sign("ahead", 1),),
        ("back",): (Sign("ahead", -1),),
        ("left",): (Sign("right", -1),),
        ("right",): (Sign("right", 1),),
        ("look_left",): (Sign("turn", -1),),
        ("look_right",): (Sign("turn", 1),),
        ("look_up",): (Sign("tilt", 1),),
        ("look_down",): (Sign("tilt", -1),),
        ("forward", "look_left"): (Sign("ahead", 1), Sign("turn", -1)),
        ("forward", "look_right"): (Sign("ahead", 1), Sign("turn", 1)),
    },
    "gta_drive": {
        ("accelerate",): _drives(ahead=1),
        ("brake",): _drives(ahead=-motion.REVERSE),
        ("steer_left",): _drives(turn=-0.7, ahead=motion.CREEP),
        ("steer_right",): _drives(turn=0.7, ahead=motion.CREEP),
        ("accelerate", "steer_left"): _drives(ahead=1, turn=-1),
        ("accelerate", "steer_right"): _drives(ahead=1, turn=1),
        ("brake", "steer_left"): _drives(ahead=-motion.REVERSE, turn=1),
        ("brake", "steer_right"): _drives(ahead=-motion.REVERSE, turn=-1),
    },
    "templerun": {
        (): (_AHEAD,),
        ("jump",): (_AHEAD, Sign("rise", 1.5, _EARLY), Sign("rise", -1.5, _LATE)),
        ("slide",): (_AHEAD, Sign("rise", -1, _EARLY)),
        ("turn_left",): (Sign("turn", -1, _EARLY), Sign("turn", -1, _LATE)),
        ("turn_right",): (Sign("turn", 1, _EARLY), Sign("turn", 1, _LATE)),
        ("left",): (_AHEAD, Sign("right", -1, _EARLY)),
        ("right",): (_AHEAD, Sign("right", 1, _EARLY)),
    },
}


def _swing(side: str, pedals: Held) -> list[Held]:
    """From side to side, so that a car stays near its road."""
    there, back = ((*pedals, f"steer_{way}") for way in (side, {"left": "right", "right": "left"}[side]))
    return [pedals, there, back, back, there, there]


# What is held in each block. What `judged_blocks` leaves out is for getting into motion.
SCRIPTS: dict[str, list[list[Held]]] = {
    "universal": [[()] * BLOCKS]
    + [[held] * BLOCKS for held in EXPECTED["universal"] if held[-1] not in ("look_up", "look_down")]
    + [[("look_down",), ("look_up",)] * 3],
    "gta_drive": [
        [()] * BLOCKS,
        [("accelerate",)] * BLOCKS,
        [("brake",)] * BLOCKS,
        [*[("accelerate",)] * 3, *[()] * 3],
    ]
    + [_swing(side, held) for held in ((), ("accelerate",), ("brake",)) for side in ("left", "right")],
    "templerun": [[(), held, (), held, (), held] for held in EXPECTED["templerun"]],
}


def right_block(mode: str, held: Held, reading: Reading) -> bool:
    """Whether a block moved as what was held says; nothing held: whether it stood still."""
    signs = EXPECTED[mode].get(held)
    if signs is None:
        return max(np.abs(values).max() for values in reading.values()) < STILL
    axes = list(AXES[mode])
    # What is read besides must be less; but a runner runs, and bobs, all the time.
    own = {sign.axis for sign in signs} | ({"ahead", "bob"} if mode == "templerun" else set())
    for sign in signs:
        values = np.median([reading[pair] for pair in sign.pairs], axis=0)
        share = values[axes.index(sign.axis)] / sign.size
        besides = max([0, *(abs(v) for axis, v in zip(axes, values, strict=True) if axis not in own)])
        if share < LEAST or (sign == signs[-1] and besides > share):
            return False
    return True


def pairs_of(mode: str, held: Held) -> list[tuple[int, int]]:
    """The pairs of frames of a block that are looked at."""
    signs = EXPECTED[mode].get(held) or (Sign("ahead", 0),)
    return sorted({pair for sign in signs for pair in sign.pairs})


def track_of(mode: str, script: list[Held]) -> ActionTrack:
    return ActionTrack.concat(
        [ActionTrack.hold(mode, held, frames=block_frames(block)) for block, held in enumerate(script)]
    )


def judged_blocks(mode: str, script: list[Held]) -> list[int]:
    """A run's first block has frames of its own, and what is not a runner needs one to come into motion."""
    blocks = range(1, len(script))
    if mode == "templerun":
        return [b for b in blocks if script[b] or not any(script)]
    return [b for b in blocks if script[b] == script[b - 1]] if mode == "gta_drive" else list(blocks)


def free(starts: Starts, index: int, script: list[Held]) -> bool:
    """Whether the true world leaves the way free along a script: steps are of the usual length."""
    if starts.mode == "templerun":
        return True
    poses = starts.poses_along(index, [track_of(starts.mode, script)])[0]
    steps = torch.linalg.vector_norm(poses[1:, :2] - poses[:-1, :2], dim=1)
    if starts.mode == "gta_drive":  # of the car, which does not swing
        car = poses[:, :2] + motion.LEVER * torch.stack([poses[:, 2].sin(), poses[:, 2].cos()], 1)
        steps, wanted = torch.linalg.vector_norm(car[1:] - car[:-1], dim=1), poses[1:, 5].abs()
    else:
        moves = torch.tensor(track_of(starts.mode, script).keyboard[:-1]).abs().amax(1)
        wanted = motion.SPEED * moves
    return bool((steps - wanted).abs().max() < 0.02)


def candidates(mode: str) -> list[Held]:
    """The actions among which the strict judge chooses."""
    return [*dict.fromkeys([(), *EXPECTED[mode]])]


def strict_block(starts: Starts, index: int, script: list[Held], block: int, shown: np.ndarray) -> bool:
    """Whether, of all actions, the one held explains a block best; shown: its frames at `moments`."""
    mode, first = starts.mode, frames_in_blocks(block)
    actions = candidates(mode)
    before = [track_of(mode, script).frames(0, first)] if first else []
    tracks = [
        ActionTrack.concat([*before, ActionTrack.hold(mode, held, frames=block_frames(block))])
        for held in actions
    ]
    poses = starts.poses_along(index, tracks)[:, [first + m for m in moments(block)]]
    small = (SIZE[0] // 4, SIZE[1] // 4)
    world = starts.world.take(torch.full((len(actions),), index))
    drawn = draw(world, poses, small).astype(np.float32)
    seen = np.stack([cv2.resize(frame, small[::-1], interpolation=cv2.INTER_AREA) for frame in shown])
    away = np.square(drawn - seen.astype(np.float32)).mean(axis=(1, 2, 3, 4))
    held = actions.index(script[block])
    # Two actions that show the same (against a wall, at the end of a tilt) are one.
    alike = np.square(drawn - drawn[held]).mean(axis=(1, 2, 3, 4)) < 1.0
    return bool(alike[away.argmin()])


def moments(block: int) -> tuple[int, int]:
    """The frames of a block at which the strict judge looks."""
    return block_frames(block) // 2, block_frames(block) - 1


def turned(geometry: Geometry, starts: Starts, run: Run, index: int, sign: int) -> float:
    """The angle that a run turns in 2 s, or in a runner's turn, read from the picture, over the true one."""
    mode, side = starts.mode, "left" if sign < 0 else "right"
    if mode == "templerun":
        script, wanted = [(), (f"turn_{side}",), ()], range(9, 22)
    else:
        held = (f"look_{side}",) if mode == "universal" else ("accelerate", f"steer_{side}")
        script, wanted = [held] * BLOCKS, range(18, 69, 2)
    track = track_of(mode, script)
    frames = run(index, track, list(wanted))
    readings = [geometry.read(a, b, wanted.step) for a, b in pairwise(frames)]
    axis = list(AXES[mode]).index("turn")
    read = sum(r[axis] for r in readings) * AXES[mode]["turn"][2] * wanted.step
    yaw = starts.poses_along(index, [track])[0, :, 2]
    return float(read / (yaw[wanted[-1]] - yaw[wanted[0]]))


def speed_of(mode: str, held: Held, reading: Reading) -> float:
    """How far a block moves on a control's own axis, over what it should: running is no control's own."""
    signs = [sign for sign in EXPECTED[mode][held] if sign is not _AHEAD] or [_AHEAD]
    axes = list(AXES[mode])
    signs = [sign for sign in signs if sign.axis == signs[0].axis]
    shares = [
        np.median([reading[pair][axes.index(sign.axis)] for pair in sign.pairs]) / sign.size for sign in signs
    ]
    return float(np.mean(shares))


class Found(NamedTuple):
    """What is right of the runs from one start, by what was held."""

    runs: dict[Held, list[bool]]
    blocks: dict[Held, list[bool]]
    strict: dict[Held, list[bool]]
    yaw: list[float]
    speeds: dict[Held, list[float]] = {}  # of blocks


def look(starts: Starts, run: Run, index: int) -> Found:
    """All scripts from one start."""
    mode = starts.mode
    geometry = Geometry(mode, SIZE)
    runs, blocks, strict, speeds = (defaultdict(list) for _ in range(4))
    for script in SCRIPTS[mode]:
        if not free(starts, index, script):
            continue
        wanted = {
            frames_in_blocks(b) + f
            for b in judged_blocks(mode, script)
            for p in pairs_of(mode, script[b])
            for f in p
        }
        wanted |= {frames_in_blocks(b) + m for b in range(BLOCKS) for m in moments(b)}
        wanted = sorted(wanted)
        shown = dict(zip(wanted, run(index, track_of(mode, script), wanted), strict=True))
        found: dict[Held, list[bool]] = defaultdict(list)
        for b in judged_blocks(mode, script):
            first = frames_in_blocks(b)
            reading = {
                (i, j): geometry.read(shown[first + i], shown[first + j], j - i)
                for i, j in pairs_of(mode, script[b])
            }
            found[script[b]].append(right_block(mode, script[b], reading))
            if script[b] in EXPECTED[mode]:
                speeds[script[b]].append(speed_of(mode, script[b], reading))
        for held, verdicts in found.items():
            runs[held].append(bool(np.mean(verdicts) > 0.5))
            blocks[held] += verdicts
        for b in range(BLOCKS):
            frames = np.stack([shown[frames_in_blocks(b) + m] for m in moments(b)])
            strict[script[b]].append(strict_block(starts, index, script, b, frames))
    yaw = [turned(geometry, starts, run, index, sign) for sign in (-1, 1)]
    return Found(runs, blocks, strict, yaw, speeds)


def sum_up(starts: Starts, found: list[Found]) -> dict:
    """Shares of right runs and blocks; see the module's text."""
    mode = starts.mode
    runs, blocks, strict = (defaultdict(list) for _ in range(3))
    for each in found:
        for whole, part in zip((runs, blocks, strict), each, strict=False):
            for held, verdicts in part.items():
                whole[held] += verdicts
    name = {held: "+".join(held) or ("run" if mode == "templerun" else "idle") for held in runs | strict}
    moving = [held for held in runs if held in EXPECTED[mode]]
    return {
        "overall": mean(mean(runs[held]) for held in moving),
        "controls": {name[held]: mean(runs[held]) for held in moving if len(held) < 2},
        "pairs": {name[held]: mean(runs[held]) for held in moving if len(held) > 1},
        "idle": mean(runs[()]) if mode != "templerun" else None,
        "blocks": {name[held]: mean(blocks[held]) for held in runs},
        "strict": {"overall": mean(v for held in strict.values() for v in held)}
        | {name[held]: mean(verdicts) for held, verdicts in strict.items()},
        "yaw": float(np.median([angle for each in found for angle in each.yaw])),
        "runs": {name[held]: len(verdicts) for held, verdicts in runs.items()},
        "wrong": {
            name[held]: [i for i, each in enumerate(found) if not all(each.runs.get(held, ()))]
            for held in runs
        },
    }


def table(_mode: str, result: dict) -> str:
    strict = result["strict"]
    rows = [f"{result['overall']:.1%} of runs move the right way; {strict['overall']:.1%} of blocks strictly"]
    if result["idle"] is not None:
        rows[0] += f"; {result['idle']:.1%} stand still with no key held"
    rows.append(f"yaw turned, over the true one: {result['yaw']:.2f}")
    rows.append(f"{'held':24}{'runs':>8}{'blocks':>8}{'strict':>8}")
    for name in result["blocks"]:
        share = (result["controls"] | result["pairs"]).get(name, result["idle"])
        rows.append(f"{name:24}{share:8.1%}{result['blocks'][name]:8.1%}{strict[name]:8.1%}")
    return "\n".join(rows)


def main() -> None:
    judge_modes(command("controllability", __doc__).parse_args(), look, sum_up, table)


if __name__ == "__main__":
    main()
