"""What the judges of embedded worlds share: unseen starts, and runs from them, true or by a model.

A run is asked for by the number of its start and a track of actions, and answers with frames; OpenCV and the
renderer are needed here only, not by the application.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from PIL import Image

from mgdemo.actions import MODES, ActionTrack
from mgdemo.checkpoints import catalog
from training import motion
from training.places import World
from training.renderer import render

SIZE = (144, 256)
# (number of the start, actions, the video frames that are wanted) -> uint8 [wanted, H, W, 3]
Run = Callable[[int, ActionTrack, list[int]], np.ndarray]
# (picture) -> what the VAE alone keeps of it
Keep = Callable[[Image.Image], np.ndarray]


class Starts:
    """Poses in places that were never trained on."""

    def __init__(self, world: World, poses: torch.Tensor):
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

    def image(self, index: int) -> Image.Image:
        """The start picture."""
        here = slice(index, index + 1)
        return Image.fromarray(draw(self.world.take(here), self.poses[here, None], SIZE)[0, 0])

    def poses_along(self, index: int, tracks: list[ActionTrack]) -> torch.Tensor:
        """Poses [tracks, T, P] under tracks of one length."""
        world = self.world.take(torch.full((len(tracks),), index))
        return motion.integrate(world, self.poses[index].expand(len(tracks), -1), *motion.as_tensors(tracks))


@torch.no_grad()
def draw(world: World, poses: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """True frames uint8 [B, T, H, W, 3] of poses [B, T, P], on a GPU where there is one."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return render(world.to(device), poses.to(device), *size).permute(0, 1, 3, 4, 2).cpu().numpy()


def true_run(starts: Starts) -> Run:
    """The renderer's own answer."""

    def run(index: int, track: ActionTrack, wanted: list[int]) -> np.ndarray:
        poses = starts.poses_along(index, [track])[0, wanted]
        poses, which = torch.unique(poses, dim=0, return_inverse=True)  # one who stands sees one picture
        return draw(starts.world.take(slice(index, index + 1)), poses[None], SIZE)[0, which.numpy()]

    return run


def model_run(checkpoint: str, device: str, image: Callable[[int], Image.Image]) -> Run:
    """A checkpoint's answer, by the interface that the application uses, from the start pictures `image`."""
    model = _load(checkpoint, device)

    def run(index: int, track: ActionTrack, wanted: list[int]) -> np.ndarray:
        world, frames, done = model.start(image(index), seed=index), {}, 0
        needed = set(wanted)
        for block in range(track.padded().blocks):
            made = world.step(track.padded().block(block))
            frames |= {done + i: frame for i, frame in enumerate(made) if done + i in needed}
            done += len(made)
        return np.stack([frames[frame] for frame in wanted])

    return run


@cache
def _load(checkpoint: str, device: str):
    from mgdemo.loading import load_world_model

    return load_world_model(checkpoint, device=device)


def model_keep(checkpoint: str, device: str) -> Keep:
    """What a checkpoint's VAE keeps of a picture: the sharpest that its worlds can be."""
    from mgdemo.model.device_io import to_uint8

    vae = _load(checkpoint, device).vae

    @torch.inference_mode()
    def keep(image: Image.Image) -> np.ndarray:
        weight = vae.conv2.weight
        picture = torch.from_numpy(np.array(image)).to(weight.device, weight.dtype) / 127.5 - 1
        return to_uint8(vae.decode(vae.encode(picture.permute(2, 0, 1)[None, :, None])))[0].cpu().numpy()

    return keep


def embedded(mode: str) -> str | None:
    """The name of the mode's embedded checkpoint, if one ships."""
    return next((e.name for e in catalog() if e.embedded and e.mode == mode and e.available), None)


def command(name: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=list(MODES))
    parser.add_argument("--starts", type=int, default=48, help="unseen starts per mode (default 48)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--checkpoint", help="a catalog name (with one mode); default: the embedded world")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--truth", action="store_true", help="judge the renderer's own frames instead")
    parser.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="share the starts among N processes of one CPU thread each, on the CPU unless --device says "
        "otherwise; every N gives the same results",
    )
    return parser


def judge_modes(
    args: argparse.Namespace,
    look: Callable[[Starts, Run, int], Any],
    sum_up: Callable[[Starts, list], dict],
    table: Callable[[str, dict], str],
) -> None:
    """Judge each mode that was asked for and is there; print the tables and write the JSON file.

    look(starts, run, index) is what a judge finds at one start, sum_up(starts, [found, ...]) its results.
    """
    results = {}
    for mode in args.modes:
        checkpoint = args.checkpoint or embedded(mode)
        if not (args.truth or checkpoint):
            print(f"{mode}: no embedded world ships yet, so it is left out")
            continue
        starts, found = Starts.draw(mode, args.starts), []
        given = (mode, args.starts, None if args.truth else checkpoint)
        for each in looks(look, *given, args.device, args.workers):
            found.append(each)
            print(f"start {len(found)} of {len(starts)}", flush=True)
        results[mode] = sum_up(starts, found) | {"starts": len(starts)}
        print(f"{mode} ({'truth' if args.truth else checkpoint}, {len(starts)} unseen starts)")
        print(table(mode, results[mode]), flush=True)
        if args.json:
            args.json.write_text(json.dumps(results, indent=1) + "\n")


def looks(
    look: Callable[[Starts, Run, int], Any],
    mode: str,
    count: int,
    checkpoint: str | None,
    device: str = "auto",
    workers: int | None = None,
) -> Iterator[Any]:
    """What `look` finds at each start, in order; without a checkpoint, of the true runs."""
    if workers is None:
        yield from map(_looking(look, mode, count, checkpoint, device), range(count))
        return
    device = "cpu" if device == "auto" else device  # a GPU has no room for many
    with get_context("spawn").Pool(workers, _begin_work, (look, mode, count, checkpoint, device)) as pool:
        yield from pool.imap(_work, range(count))


def _looking(look: Callable, mode: str, count: int, checkpoint: str | None, device: str) -> Callable:
    starts = Starts.draw(mode, count)
    run = model_run(checkpoint, device, starts.image) if checkpoint else true_run(starts)
    return partial(look, starts, run)


_look: Callable[[int], Any]  # a worker's own


def _begin_work(*given: Any) -> None:
    global _look
    if given[-1] == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _look = _looking(*given)


def _work(index: int) -> Any:
    return _look(index)


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
