"""What becomes of a place on a walk of a minute: how sharp it is, and what a scene reader sees in it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from benchmarks import quality
from benchmarks.runs import Keep, Run, Starts
from benchmarks.worlds import reader
from mgdemo.blocks import FPS
from mgdemo.measure.pixels import detail
from training import motion

SHARP = range(9 * FPS, 11 * FPS + 1, FPS // 4)  # around 10 s
PLACES = (5, 20, 60)  # seconds
SPAN = range(-4 * (FPS // 4), 1, FPS // 4)  # the frames of a second that are looked at there
DRIVES = range(20 * FPS, 60 * FPS, 5 * FPS // 2)


class Found(NamedTuple):
    """Of the run from one start. Pairs are of made and true frames."""

    quality: quality.Found
    kept: tuple[float, float]  # detail of the start picture: what the VAE keeps, and the picture's own
    detail: tuple[np.ndarray, np.ndarray]  # around 10 s
    turning: np.ndarray  # templerun: whether a corner is being turned in these frames
    features: dict[int, tuple[np.ndarray, np.ndarray]]  # the reader's [frames, features], by seconds
    houses: tuple[np.ndarray, np.ndarray]  # whether some are seen in the frames at 20 s
    drivable: np.ndarray  # whether one could drive on in made frames from 20 s on
    lost: float  # share of these in which no place is seen


@cache
def _reader() -> reader.Reader:
    return reader.load()


def moments(seconds: float) -> dict[str, list[int]]:
    """The video frames of a run at which it is looked at, by what for."""
    frames = round(seconds * FPS)
    at = {f"place {s}": [min(s * FPS, frames - 1) + i for i in SPAN] for s in PLACES if s <= seconds}
    return at | {
        "quality": quality.moments(frames),
        "sharp": [f for f in SHARP if f < frames],
        "drive": [f for f in DRIVES if f < frames],
    }


def look(starts: Starts, run: Run, index: int, keep: Keep = np.asarray, seconds: float = 60) -> Found:
    """One walk, of at least 11 s."""
    at = moments(seconds)
    wanted = sorted({frame for frames in at.values() for frame in frames})
    made, true = (
        dict(zip(wanted, f, strict=True)) for f in quality.walk(starts, run, index, seconds, wanted)
    )
    return judge(starts, index, keep, made, true, seconds)


def judge(
    starts: Starts,
    index: int,
    keep: Keep,
    made: dict[int, np.ndarray],
    true: dict[int, np.ndarray],
    seconds: float,
) -> Found:
    """Frames of a walk by their numbers: those that were made, and the true ones."""
    at, start = moments(seconds), starts.image(index)

    def both(name: str) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.stack([frames[f] for f in at[name]]) for frames in (made, true))

    places = {
        s: [reader.read(_reader(), frames) for frames in both(f"place {s}")]
        for s in PLACES
        if f"place {s}" in at
    }
    later = reader.read(_reader(), both("drive")[0]) if at["drive"] else None
    turning = np.zeros(len(at["sharp"]), bool)
    if starts.mode == "templerun":
        track = quality.tracks(starts.mode, len(starts), seconds)[index]
        left = motion.POSE["templerun"].index("turn")  # frames
        turning = (starts.poses_along(index, [track])[0, at["sharp"], left] != 0).numpy()
    return Found(
        quality.compare(starts, index, *both("quality")),
        (detail(keep(start)), detail(np.asarray(start))),
        tuple(np.array([detail(frame) for frame in frames]) for frames in both("sharp")),
        turning,
        {s: (a.features, b.features) for s, (a, b) in places.items()},
        tuple(reader.has_house(of) for of in places[20]) if 20 in places else (np.zeros(0), np.zeros(0)),
        reader.drivable(later) if later else np.zeros(0),
        float((later.theme.argmax(1) == reader.THEMES.index("nothing")).mean()) if later else 0.0,
    )


def frechet(a: np.ndarray, b: np.ndarray) -> float:
    """Between Gaussians of the means and covariances of features [N, F] (Dowson and Landau, 1982):
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))."""
    (m1, c1), (m2, c2) = ((x.mean(0), np.cov(x, rowvar=False)) for x in (a.astype(float), b.astype(float)))
    values, vectors = np.linalg.eigh(c1)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    between = np.sqrt(np.linalg.eigvalsh(root @ c2 @ root).clip(0)).sum()
    return float(max(0.0, ((m1 - m2) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * between))
