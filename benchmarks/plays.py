"""What the judges of embedded worlds share: unseen starts, and plays from them, true or by a model.

A play is asked for by the number of its start and a track of actions, and answers with frames; OpenCV and the
renderer are needed here only, not by the application.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import catalogue
from training import motion, renderer

SIZE = (144, 256)
# (number of the start, actions, the video frames that are wanted) -> uint8 [wanted, H, W, 3]
Play = Callable[[int, ActionTrack, list[int]], np.ndarray]


class Starts:
    """Poses in places that were never trained on; `images` are the start pictures."""

    def __init__(self, world: renderer.World, poses: torch.Tensor):
        self.world, self.poses = world, poses

    def __len__(self) -> int:
        return len(self.poses)

    @property
    def mode(self) -> str:
        return self.world.mode

    @classmethod
    def draw(cls, mode: str, count: int, seed: int = 1) -> Starts:
        generator = torch.Generator().manual_seed(seed)
        world = motion.sample_worlds(count, generator, mode=mode, held_out=True)
        return cls(world, motion.sample_start(world, generator))

    def images(self) -> list[Image.Image]:
        frames = draw(self.world, self.poses[:, None], SIZE)[:, 0]
        return [Image.fromarray(frame) for frame in frames]

    def poses_along(self, index: int, tracks: list[ActionTrack]) -> torch.Tensor:
        """Poses [tracks, T, P] under tracks of one length."""
        world = self.world.take(torch.full((len(tracks),), index))
        return motion.integrate(world, self.poses[index].expand(len(tracks), -1), *motion.as_tensors(tracks))


@torch.no_grad()
def draw(world: renderer.World, poses: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """True frames uint8 [B, T, H, W, 3] of poses [B, T, P], on a GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return renderer.render(world.to(device), poses.to(device), *size).permute(0, 1, 3, 4, 2).cpu().numpy()


def true_play(starts: Starts) -> Play:
    """The renderer's own answer."""

    def play(index: int, track: ActionTrack, wanted: list[int]) -> np.ndarray:
        poses = starts.poses_along(index, [track])[:, wanted]
        return draw(starts.world.take(slice(index, index + 1)), poses, SIZE)[0]

    return play


def model_play(checkpoint: str, device: str, images: list[Image.Image]) -> Play:
    """A checkpoint's answer, by the interface that the application uses."""
    from mgdemo.world import load_world_model

    model = load_world_model(checkpoint, device=device)

    def play(index: int, track: ActionTrack, wanted: list[int]) -> np.ndarray:
        world, frames, done = model.start(images[index], seed=index), {}, 0
        needed = set(wanted)
        for block in range(track.padded().blocks):
            made = world.step(track.padded().block(block))
            frames |= {done + i: frame for i, frame in enumerate(made) if done + i in needed}
            done += len(made)
        return np.stack([frames[frame] for frame in wanted])

    return play


def embedded(mode: str) -> str | None:
    """The name of the mode's embedded checkpoint, if one ships."""
    return next((e.name for e in catalogue() if e.embedded and e.mode == mode and e.available), None)


def gradient(frames: np.ndarray) -> float:
    """Gradient energy: the mean absolute difference of neighbouring pixels of uint8 [..., H, W, 3]."""
    values = frames.astype(np.float32)
    return float(np.abs(np.diff(values, axis=-3)).mean() + np.abs(np.diff(values, axis=-2)).mean())


def command(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--starts", type=int, default=48, help="unseen starts a mode (default 48)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--checkpoint", help="a catalogue name (with one mode); default: the embedded world")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--truth", action="store_true", help="judge the renderer's own frames instead")
    return parser


def judge_modes(
    args: argparse.Namespace, judge: Callable[[Starts, Play], dict], table: Callable[[str, dict], str]
) -> None:
    """Judge each mode that was asked for and is there; print the tables and write the JSON file."""
    results = {}
    for mode in args.modes:
        checkpoint = args.checkpoint or embedded(mode)
        if not (args.truth or checkpoint):
            print(f"{mode}: no embedded world ships yet, so it is left out")
            continue
        starts = Starts.draw(mode, args.starts)
        play = true_play(starts) if args.truth else model_play(checkpoint, args.device, starts.images())
        results[mode] = judge(starts, play) | {"starts": len(starts)}
        print(f"{mode} ({'truth' if args.truth else checkpoint}, {len(starts)} unseen starts)")
        print(table(mode, results[mode]), flush=True)
        if args.json:
            args.json.write_text(json.dumps(results, indent=1) + "\n")


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
