"""Teaches the scene reader: `python -m benchmarks.worlds.teach`.

Draws single frames of sessions in training places with what is where in them, learns from them, and says how
well frames of held-out places are read, drawn at the size of the worlds. On one CPU thread: some minutes,
most of them drawing. The seeds are fixed, so the weights are the same on the same machine.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from benchmarks.worlds.reader import (
    CELLS,
    NAMED,
    SIZE,
    THEMES,
    WEIGHTS,
    Read,
    Reader,
    drivable,
    has_house,
    read,
)
from mgdemo.actions import MODES
from training import motion
from training.renderer import render
from training.semantics import CLASSES, name_rays
from training.themes import THEMES as TABLES

LATEST = 300  # frames after the start of a session
BATCH = 32
SPOILED = 0.2  # share of a batch that shows nothing
NOTHING = len(NAMED) - 1


class Samples(NamedTuple):
    """Frames with what is in them, one of each place."""

    frames: Tensor  # uint8 [N, 3, H, W]
    cells: Tensor  # shares [N, len(CLASSES), 9, 16]
    theme: Tensor  # index into THEMES [N]


@torch.no_grad()
def samples(
    mode: str, count: int, seed: int, *, held_out: bool = False, size: tuple[int, int] = SIZE
) -> Samples:
    """One random moment of a random session in each of `count` places."""
    generator = torch.Generator().manual_seed(seed)
    world = motion.sample_worlds(count, generator, mode=mode, held_out=held_out)
    actions = motion.sample_actions(count, LATEST, generator, mode)
    poses = motion.integrate(world, motion.sample_start(world, generator), *actions)
    poses = poses[torch.arange(count), torch.randint(0, LATEST, (count,), generator=generator)]
    frames = render(world, poses[:, None], *size)[:, 0]
    named = [
        name_rays(world.take(slice(i, i + 1)), poses[i : i + 1], SIZE[0] // 2, SIZE[1] // 2)
        for i in range(count)
    ]
    first = sum(len(TABLES[other]) for other in list(MODES)[: list(MODES).index(mode)])
    return Samples(frames, F.adaptive_avg_pool2d(torch.cat(named), CELLS), world.theme + first)


def join(parts: list[Samples]) -> Samples:
    return Samples(*(torch.cat(field) for field in zip(*parts, strict=True)))


def _blur(pictures: Tensor, sigma: float) -> Tensor:
    reach = max(1, min(35, round(2.5 * sigma)))
    taps = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).expand(3, 1, 1, -1)
    wide = F.conv2d(F.pad(pictures, (reach, reach, 0, 0), "replicate"), taps, groups=3)
    return F.conv2d(F.pad(wide, (0, 0, reach, reach), "replicate"), taps.transpose(2, 3), groups=3)


def spoil(pictures: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures [N, 3, 72, 128] of which no place is left: as worlds that have come apart show them."""
    n, (height, width) = len(pictures), SIZE
    draw = lambda *shape: torch.rand(*shape, generator=generator)  # noqa: E731
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    out = [pictures[:0]]  # none may be asked for
    for i in range(n):
        picture, way = pictures[i : i + 1], int(draw(1) * 7)
        if way == 0:  # patches in another order
            patch = ((8, 8), (12, 16), (18, 16), (24, 32))[int(draw(1) * 4)]
            patches = F.unfold(picture, patch, stride=patch)
            order = torch.randperm(patches.shape[2], generator=generator)
            picture = F.fold(patches[:, :, order], SIZE, patch, stride=patch)
        elif way in (1, 2):  # stripes, or a checkerboard, in two of its own colors
            period = 2 + int(draw(1) * 14)
            along = (
                (x // period + (y // period if way == 2 else 0)) if draw(1) < 0.5 or way == 2 else y // period
            )
            colors = picture.flatten(2)[:, :, torch.randint(0, height * width, (2,), generator=generator)]
            pattern = torch.where(along % 2 == 0, colors[..., :1, None], colors[..., 1:, None])
            picture = torch.lerp(picture, pattern, 0.6 + 0.4 * float(draw(1)))
        elif way == 3:  # fog
            picture = _blur(picture, 8 + 12 * float(draw(1)))
        elif way == 4:  # flat patches of color
            coarse = 2 + int(draw(1) * 7)
            picture = F.interpolate(draw(1, 3, coarse, 2 * coarse), SIZE, mode="bicubic").clamp(0, 1)
            picture = torch.lerp(picture, pictures[i].mean((1, 2))[None, :, None, None], float(draw(1)))
        elif way == 5:  # dark, but for what shines
            picture = picture * 0.06 + 0.24 * (picture > 0.7 + 0.2 * float(draw(1)))
        else:  # upside down
            picture = picture.flip(2)
        out.append(picture)
    return torch.cat(out)


def batch(known: Samples, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures, shares of the cells [BATCH, len(NAMED), 9, 16] and themes; mirrored, blurred, spoiled."""
    index = torch.randint(0, len(known.frames), (BATCH,), generator=generator)
    pictures, theme = known.frames[index].float() / 255, known.theme[index].clone()
    cells = torch.cat([known.cells[index], torch.zeros(BATCH, 1, *CELLS)], 1)
    pictures[::2], cells[::2] = pictures[::2].flip(3), cells[::2].flip(3)
    for third in range(3):  # one third stays as sharp as it is
        sigma = float(torch.rand(1, generator=generator)) * 1.6 * (third > 0)
        pictures[third::3] = _blur(pictures[third::3], sigma) if sigma > 0.2 else pictures[third::3]
    lost = torch.rand(BATCH, generator=generator) < SPOILED
    pictures[lost] = spoil(pictures[lost], generator)
    cells[lost], theme[lost] = F.one_hot(torch.tensor(NOTHING)).float()[:, None, None], len(THEMES) - 1
    gain = 1 + 0.2 * (torch.rand(BATCH, 3, 1, 1, generator=generator) - 0.5)
    grain = 0.03 * torch.rand(BATCH, 1, 1, 1, generator=generator)
    pictures = pictures * gain + grain * torch.randn(pictures.shape, generator=generator)
    return pictures.clamp(0, 1), cells, theme


def teach(known: Samples, steps: int) -> Reader:
    """A reader that has learned from `steps` batches."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    reader = Reader()
    optimizer = torch.optim.AdamW(reader.parameters(), 3e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for done in range(1, steps + 1):
        pictures, cells, theme = batch(known, generator)
        named, themes, features = reader(pictures)
        # Features of a common size: their distances are compared.
        loss = F.cross_entropy(named, cells) + 0.3 * F.cross_entropy(themes, theme)
        loss = loss + 1e-3 * features.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if done % 200 == 0 or done == steps:
            print(f"step {done}: {loss.item():.3f}", flush=True)
    return reader.eval()


def check(found: Read, truth: Samples) -> dict:
    """How well frames of held-out places are read: "theme" and "cells", shares of right ones (of the cells in
    which one class has more than half); "apart", mean error of a class's share of a picture; "classes",
    share of right cells by class; "houses" and "drivable": shares of frames in which they are found, by the
    truth and by the reader, and in how many both say the same."""
    true = truth.cells.numpy()
    most, clear = true.argmax(1), true.max(1) > 0.5
    right = (found.cells.argmax(1) == most) & clear
    shares = found.cells.mean((2, 3))[:, : len(CLASSES)]
    known = Read(np.pad(true, ((0, 0), (0, 1), (0, 0), (0, 0))), found.theme, found.features)
    result = {
        "theme": float((found.theme.argmax(1) == truth.theme.numpy()).mean()),
        "cells": float(right.sum() / clear.sum()),
        "apart": float(np.abs(shares - true.mean((2, 3))).mean()),
        "classes": {
            name: round(float(right[of].mean()), 3)
            for i, name in enumerate(CLASSES)
            if (of := clear & (most == i)).sum() > 20
        },
        "frames": len(true),
    }
    for name, rule in {"houses": has_house, "drivable": drivable}.items():
        there, read_so = rule(known), rule(found)
        result[name] = [float(v.mean()) for v in (there, read_so, there == read_so)]
    return result


def make(out: Path = WEIGHTS, places: int = 300, steps: int = 1500) -> Reader:
    """A reader, taught and written to `out`."""
    reader = teach(join([samples(mode, places, 20) for mode in MODES]), steps)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.half().contiguous() for name, value in reader.state_dict().items()}, out)
    return reader


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.worlds.teach",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument(
        "--places", type=int, default=300, help="of each mode, one frame of each (default 300)"
    )
    parser.add_argument("--steps", type=int, default=1500, help=f"of {BATCH} pictures (default 1500)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    reader = make(args.out, args.places, args.steps)
    for mode in MODES:
        truth = samples(mode, 60, 21, held_out=True, size=(144, 256))
        print(mode, check(read(reader, truth.frames.movedim(1, -1).numpy()), truth), flush=True)


if __name__ == "__main__":
    main()
