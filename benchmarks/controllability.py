"""Does the picture move the way the keys say? The flow judge.

    python -m benchmarks.controllability --modes universal --starts 24 --json report.json
    python -m benchmarks.controllability --truth --starts 24          # judges the judge, on true frames

On start images that training never saw, each control is held for 4 s (9 blocks, 105 video frames). How a play
is judged:

1. The first block is left out. In every later block, three pairs of frames two frames apart are compared by
   dense optical flow (OpenCV's DIS) on a grid of points, each weighted by how much texture it has.
2. A flow field is explained as a small motion of a pinhole camera over a plane, by iteratively re-weighted
   least squares (Cauchy weights, so that things that stand on the plane count as outliers): four numbers,
   motion to the right and ahead, turn and tilt. Turning moves sky and ground alike, walking only the ground,
   more the nearer it is: that tells strafing from looking. Each number is divided by what the world's own
   motion would be in two frames, so a perfect answer to "forward" reads ahead 1, and the rest 0.
3. A block's reading is the median over its pairs. It is right if the number that belongs to the control has
   the control's sign, is at least 0.25, and is the largest of the four in size.
4. A play is right if more than half of its judged blocks are.

"overall" and "controls" are shares of right plays over forward, back, left, right, look_left and look_right.
Apart from these: "blocks" (shares of right blocks), "magnitude" (median reading of the control's own number,
1 being true to the world), "also" (look_up and look_down, which take turns block by block, by blocks, since
the world stops a long look up; and idle, right if every number stays below 0.1), and "sharpness": the mean
absolute gradient of the last block of 20 s of random play over that of the start images.

A start is used only where nothing bars the way: the true camera gets three quarters of the way in each
direction. OpenCV is needed here only, not by the application.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from mgdemo.actions import ActionTrack, frames_in_blocks
from training import motion, places, renderer

BLOCKS = 9
PAIRS = ((2, 4), (5, 7), (8, 10))  # frames of a block that are compared
LEAST = 0.25  # of the true motion
STILL = 0.1
AXES = ("right", "ahead", "turn", "tilt")
CONTROLS = {
    "forward": ("ahead", 1), "back": ("ahead", -1), "left": ("right", -1), "right": ("right", 1),
    "look_left": ("turn", -1), "look_right": ("turn", 1),
}  # fmt: skip
TILTS = {"look_up": ("tilt", 1), "look_down": ("tilt", -1)}
Play = Callable[[int, ActionTrack], np.ndarray]  # (start, actions) -> uint8 [T, H, W, 3]


def reading(before: np.ndarray, after: np.ndarray, frames: int = 2) -> np.ndarray:
    """Motion between two pictures (uint8 [H, W, 3]) some frames apart, in AXES, 1 being the world's own."""
    grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (before, after)]
    dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = dis.calc(*grey, None)[::2, ::2].reshape(-1, 2)
    smooth = cv2.GaussianBlur(grey[0].astype(np.float32), (0, 0), 1.0)
    texture = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))[::2, ::2].ravel()
    weight = texture / (texture + 20)

    height, width = grey[0].shape
    focal = width / 2 / renderer.HALF_VIEW
    y, x = np.mgrid[0:height:2, 0:width:2].reshape(2, -1) + 0.5
    x, y = x - width / 2, y - height / 2
    near = np.maximum(y, 0) / (focal * motion.EYE["universal"])  # one over the distance of the plane
    step, angle = motion.SPEED * frames, 0.1 * motion.TURN * frames
    across = np.stack([-focal * near * step, x * near * step, -(focal + x * x / focal) * angle, 0 * x], 1)
    down = np.stack([0 * x, y * near * step, -x * y / focal * angle, np.full_like(x, focal * angle)], 1)
    basis, target = np.concatenate([across, down]), np.concatenate([flow[:, 0], flow[:, 1]])
    weight = np.concatenate([weight, weight])
    trust, solution = weight, np.zeros(4)
    for _ in range(12):
        scaled = basis * trust[:, None]
        solution = np.linalg.solve(scaled.T @ basis + 1e-3 * np.eye(4), scaled.T @ target)
        miss = np.abs(basis @ solution - target)
        trust = weight / (1 + (miss / max(0.3, 1.5 * np.median(miss))) ** 2)
    return solution


def block_readings(frames: np.ndarray) -> np.ndarray:
    """A reading per judged block of a play (uint8 [T, H, W, 3]): [blocks - 1, 4]."""
    rows, block = [], 1
    while frames_in_blocks(block + 1) <= len(frames):
        first = frames_in_blocks(block)
        rows.append(
            np.median([reading(frames[first + a], frames[first + b], b - a) for a, b in PAIRS], axis=0)
        )
        block += 1
    return np.stack(rows)


def right_blocks(readings: np.ndarray, axis: str, sign: int) -> np.ndarray:
    """Which blocks [B] move along an axis in the given direction."""
    own = readings[:, AXES.index(axis)] * sign
    return (own >= LEAST) & (own >= np.abs(readings).max(axis=1))


def sharpness(frames: np.ndarray) -> float:
    """Mean absolute gradient of pictures uint8 [T, H, W, 3]."""
    values = frames.astype(np.float32)
    return float(np.abs(np.diff(values, axis=1)).mean() + np.abs(np.diff(values, axis=2)).mean())


def free_starts(count: int, seed: int = 1) -> tuple[renderer.World, torch.Tensor]:
    """Held-out places and start poses from where four seconds each way are free."""
    generator = torch.Generator().manual_seed(seed)
    frames = frames_in_blocks(BLOCKS)
    worlds, poses = [], []
    while sum(len(pose) for pose in poses) < count:
        world = motion.sample_worlds(32, generator, held_out=True)
        start = motion.sample_start(world, generator)
        free = torch.ones(32, dtype=torch.bool)
        for key in np.eye(4):
            keyboard = torch.tensor(key, dtype=torch.float32).expand(32, frames, 4)
            end = motion.integrate(world, start, keyboard, torch.zeros(32, frames, 2))[:, -1]
            gone, yaw = end - start, start[:, 2]
            ahead, side = key[0] - key[1], key[3] - key[2]
            along = gone[:, 0] * (ahead * yaw.sin() + side * yaw.cos())
            along += gone[:, 1] * (ahead * yaw.cos() - side * yaw.sin())
            free &= along > 0.75 * motion.SPEED * (frames - 1)
        worlds.append(world.take(free))
        poses.append(start[free])
    return places.join(worlds).take(slice(count)), torch.cat(poses)[:count]


def true_play(world: renderer.World, starts: torch.Tensor, size: tuple[int, int]) -> Play:
    """The renderer's own answer; frames that nobody compares stay black."""
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def play(index: int, track: ActionTrack) -> np.ndarray:
        keyboard, mouse = (torch.from_numpy(rows.copy())[None] for rows in (track.keyboard, track.mouse))
        here = world.take(slice(index, index + 1))
        poses = motion.integrate(here, starts[index : index + 1], keyboard, mouse)
        wanted = {frames_in_blocks(b) + f for b in range(1, track.blocks) for pair in PAIRS for f in pair}
        wanted = sorted(f for f in wanted if f < len(track))
        frames = np.zeros((len(track), *size, 3), np.uint8)
        drawn = renderer.render(here.to(device), poses[:, wanted].to(device), *size)[0]
        frames[wanted] = drawn.permute(0, 2, 3, 1).cpu().numpy()
        return frames

    return play


def model_play(checkpoint: str, device: str, images: list[Image.Image]) -> Play:
    """A checkpoint's answer, by the interface that the application uses."""
    from mgdemo.world import load_world_model

    model = load_world_model(checkpoint, device=device)

    def play(index: int, track: ActionTrack) -> np.ndarray:
        world = model.start(images[index], seed=index)
        return np.concatenate([world.step(track.block(block)) for block in range(track.blocks)])

    return play


def judge(play: Play, starts: int, *, progress: Callable[[str], None] | None = None) -> dict:
    """Shares of right plays and blocks over the starts; see the module's text."""
    progress = progress or partial(print, flush=True)
    frames = frames_in_blocks(BLOCKS)
    verdicts: dict[str, list[np.ndarray]] = {name: [] for name in (*CONTROLS, *TILTS, "idle")}
    own: dict[str, list[float]] = {name: [] for name in CONTROLS}
    tilts = [ActionTrack.hold("universal", ["look_down"], frames=frames_in_blocks(1))]
    tilts += [
        ActionTrack.hold("universal", [("look_down", "look_up")[b % 2]], frames=12) for b in range(1, 5)
    ]
    for start in range(starts):
        for name, (axis, sign) in CONTROLS.items():
            readings = block_readings(play(start, ActionTrack.hold("universal", [name], frames=frames)))
            verdicts[name].append(right_blocks(readings, axis, sign))
            own[name].append(float(np.median(readings[:, AXES.index(axis)]) * sign))
        readings = block_readings(play(start, ActionTrack.concat(tilts)))
        for skip, (name, (axis, sign)) in enumerate(TILTS.items()):
            verdicts[name].append(right_blocks(readings[skip::2], axis, sign))
        readings = block_readings(play(start, ActionTrack.hold("universal", [], frames=frames_in_blocks(5))))
        verdicts["idle"].append(np.abs(readings).max(axis=1) < STILL)
        wrong = [name for name in (*CONTROLS, "idle") if verdicts[name][-1].mean() <= 0.5]
        progress(f"start {start + 1} of {starts}: {'wrong: ' + ', '.join(wrong) if wrong else 'all right'}")
    plays = {name: float(np.mean([v.mean() > 0.5 for v in verdicts[name]])) for name in (*CONTROLS, "idle")}
    blocks = {name: float(np.concatenate(v).mean()) for name, v in verdicts.items()}
    return {
        "overall": float(np.mean([plays[name] for name in CONTROLS])),
        "controls": {name: plays[name] for name in CONTROLS},
        "blocks": {name: blocks[name] for name in CONTROLS},
        "magnitude": {name: float(np.median(own[name])) for name in CONTROLS},
        "also": {"look_up": blocks["look_up"], "look_down": blocks["look_down"], "idle": plays["idle"]},
        "starts": starts,
    }


def random_play_sharpness(play: Play, images: list[Image.Image], seconds: float = 20, fps: int = 25) -> float:
    """Gradient of the last block of random plays over that of their start images, in the mean."""
    blocks = int(np.ceil((seconds * fps + 3) / 12))
    keyboard, mouse = motion.sample_actions(
        len(images), frames_in_blocks(blocks), torch.Generator().manual_seed(2)
    )
    shares = []
    for start, image in enumerate(images):
        track = ActionTrack("universal", keyboard[start].numpy(), mouse[start].numpy())
        last = play(start, track)[frames_in_blocks(blocks - 1) :]
        last = last[last.reshape(len(last), -1).any(axis=1)]  # a true play leaves out frames
        shares.append(sharpness(last) / sharpness(np.asarray(image)[None]))
    return float(np.mean(shares))


def table(mode: str, result: dict) -> str:
    rows = [f"{mode}: {result['overall']:.1%} of plays move the right way ({result['starts']} starts)"]
    rows += [f"{'control':12}{'plays':>8}{'blocks':>8}{'size':>7}"]
    for name, share in result["controls"].items():
        rows.append(f"{name:12}{share:8.1%}{result['blocks'][name]:8.1%}{result['magnitude'][name]:7.2f}")
    rows += [f"{name:12}{share:8.1%}" for name, share in result["also"].items()]
    if "sharpness" in result:
        rows.append(f"sharpness at {result['sharpness_seconds']:g} s: {result['sharpness']:.2f}")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.controllability", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--modes", nargs="+", default=["universal"], choices=["universal"])
    parser.add_argument("--starts", type=int, default=24, help="unseen start images")
    parser.add_argument("--json", metavar="FILE", help="write the result there")
    parser.add_argument("--checkpoint", help="a catalogue name; default: the mode's embedded world")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--truth", action="store_true", help="judge the renderer's own frames instead")
    parser.add_argument(
        "--seconds", type=float, default=20, help="length of the plays for sharpness; 0: none"
    )
    parser.add_argument("--sharpness-starts", type=int, default=8)
    args = parser.parse_args()
    results = {}
    for mode in args.modes:
        world, starts = free_starts(args.starts)
        size = (144, 256)
        with torch.no_grad():
            pictures = renderer.render(world, starts[:, None], *size)[:, 0].permute(0, 2, 3, 1).numpy()
            images = [Image.fromarray(picture) for picture in pictures]
            if args.truth:
                play = true_play(world, starts, size)
            else:
                play = model_play(args.checkpoint or f"{mode}-tiny", args.device, images)
            results[mode] = judge(play, args.starts)
            if args.seconds:
                results[mode]["sharpness"] = random_play_sharpness(
                    play, images[: args.sharpness_starts], args.seconds
                )
                results[mode]["sharpness_seconds"] = args.seconds
        print(table(mode, results[mode]))
    if args.json:
        Path(args.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
