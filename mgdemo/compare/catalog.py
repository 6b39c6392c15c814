"""Rows and columns of a comparison, from what people name: checkpoints, scenario files, start images."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache
from glob import glob
from pathlib import Path

from mgdemo.checkpoints import PICTURES, Located, catalog, resolve, start_images
from mgdemo.compare.plan import Case, PlanError, Variant
from mgdemo.config import Optimization
from mgdemo.hashes import file_sha256
from mgdemo.picture import StartImage
from mgdemo.references import ImageMissing, start_image, wanted_image
from mgdemo.replay import Replay, open_replay
from mgdemo.seeds import seed_of

SEEDS = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
MOST_SEEDS = 100


def variant(checkpoint: str, optimization: str = "") -> Variant:
    """A column for a checkpoint: a catalog name, or a path. Raises CheckpointError or ConfigError."""
    Optimization.parse(optimization)
    located = resolve(checkpoint)
    config = located.config
    title = config.title + (f", {optimization}" if optimization else "")
    size = (config.height, config.width)
    ships = _shipped(config.mode)
    start = start_image(ships[0], ships) if ships else None
    return Variant(
        checkpoint, config.mode, size, weights_id(located), config.embedded, optimization, title, start
    )


def _shipped(mode: str) -> list[Path]:
    """The start images that ship for a mode."""
    return start_images(next(entry.name for entry in catalog() if entry.mode == mode))


def weights_id(located: Located) -> str:
    """An identifier of a checkpoint's weights: the SHA-256 of the hashes of its files."""
    files = (located.transformer, located.vae, located.image_encoder)
    digests = [_sha256(path, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@lru_cache(maxsize=64)
def _sha256(path: Path, size: int, changed: int) -> str:
    """Of a file, as long as it does not change: some have gigabytes."""
    return file_sha256(path)


def cases(
    scenarios: Sequence[str],
    *,
    seeds: Sequence[int] = (),
    images: Sequence[Path] = (),
) -> list[Case]:
    """A row for each scenario (a file, a recorded film, or a pattern such as "scenarios/*/*.yaml"), times
    each seed, times each start image.

    Without seeds and images they are the scenario's own; without those, 0 and the first start image that
    ships for its mode. Raises PlanError, ScenarioError or PictureError.
    """
    rows, images = [], _pictures(images)
    for path in files_of(scenarios):
        replay = open_replay(path)
        shipped = _shipped(replay.scenario.mode)
        try:
            rows += cases_of(replay, shipped, seeds=seeds, images=[start_image(p, shipped) for p in images])
        except ImageMissing as error:
            raise PlanError(f"{path.name}: {str(error).rstrip('.')} with --images.") from None
    return rows


def cases_of(
    replay: Replay,
    shipped: Sequence[Path],
    *,
    seeds: Sequence[int] = (),
    images: Sequence[StartImage] = (),
) -> list[Case]:
    """The rows of one scenario; see `cases`. shipped: the start images of its mode. Raises ImageMissing."""
    starts = images or [_own_image(replay, shipped)]
    several = (len(seeds) > 1, len(images) > 1)
    return [
        _case(replay, seed, start, several)
        for seed in seeds or [replay.scenario.seed or 0]
        for start in starts
    ]


def _case(replay: Replay, seed: int, start: StartImage, several: tuple[bool, bool]) -> Case:
    title = replay.scenario.title
    if several[0]:
        title += f", seed {seed}"
    if several[1] and start.reference:
        title += f", {start.reference.partition(':')[2]}"
    scenario = replay.scenario
    return Case(title, scenario.track, start, seed, scenario.returns or None, scenario.marks)


def _own_image(replay: Replay, shipped: Sequence[Path]) -> StartImage:
    if replay.image is not None:
        return StartImage(None, replay.image)
    return start_image(wanted_image(replay.scenario, shipped) or shipped[0], shipped)


def _pictures(paths: Sequence[Path]) -> list[Path]:
    """Pictures, and those in folders, sorted. Raises PlanError."""
    found: list[Path] = []
    for path in paths:
        inside = (
            sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURES) if path.is_dir() else [path]
        )
        if not inside:
            raise PlanError(f"There are no pictures in {path}.")
        found += inside
    return found


def files_of(patterns: Sequence[str]) -> list[Path]:
    """Files by their paths and patterns, each once. Raises PlanError."""
    found: list[Path] = []
    for pattern in patterns:
        paths = [Path(pattern)]
        if not paths[0].exists():
            paths = sorted(map(Path, glob(pattern, recursive=True)))  # noqa: PTH207 (it may be absolute)
        files = [path for path in paths if path.is_file()]
        if not files:
            raise PlanError(f"{pattern} is not a scenario, a film or a pattern of such files.")
        found += files
    return list(dict.fromkeys(found))


def seeds_of(texts: Sequence[str]) -> list[int]:
    """Seeds from texts such as "7" and "0..3". Raises UserError."""
    found: list[int] = []
    for text in texts:
        if match := SEEDS.fullmatch(text):
            first, last = map(seed_of, match.groups())
            if first > last:
                raise PlanError(f"{text} has no seeds in it: give the smaller one first.")
            found += range(first, min(last, first + MOST_SEEDS) + 1)
        elif text.isascii() and text.isdigit():
            found.append(seed_of(text))
        else:
            raise PlanError(f"{text} is not a seed: give a number, or several as in 0..3.")
    if len(found) > MOST_SEEDS:
        raise PlanError(f"{len(found)} seeds are too many: give {MOST_SEEDS} at most.")
    return list(dict.fromkeys(found))
