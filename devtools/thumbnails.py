"""The strips of frames that the page shows of each shipped scenario, made by the embedded worlds.

    python -m devtools.thumbnails [SCENARIO...]

makes those that are missing or stale: the others have the key of what they were made from inside. A strip is
four frames of the run, one below the other, in a WebP file beside the scenario.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mgdemo import scenario
from mgdemo.checkpoints import Located, resolve, start_images
from mgdemo.compare.catalog import weights_id
from mgdemo.picture import StartImage
from mgdemo.references import start_image, wanted_image
from mgdemo.scenario import Scenario
from mgdemo.ui.player import track_key
from mgdemo.ui.scenarios.thumbnails import SIZE, STRIP_FRAMES, SUFFIX

if TYPE_CHECKING:
    from mgdemo.world import WorldModel

RECIPE = "1"  # change it when strips are made differently
MOMENTS = np.linspace(0.12, 0.94, STRIP_FRAMES)  # of the run's length
QUALITY = 55
DESCRIPTION = 0x010E  # the tag of EXIF that holds the key


def strip_of(path: Path) -> Path:
    return path.with_suffix(SUFFIX)


def key_of(it: Scenario) -> str:
    """Another one as soon as the strip of a scenario would be another."""
    start = _start(it, _located(it.mode))
    parts = (RECIPE, track_key(it.track), str(it.seed or 0), weights_id(_located(it.mode)))
    return hashlib.sha256("".join(parts).encode() + start.picture.tobytes()).hexdigest()[:16]


def key_in(path: Path) -> str | None:
    """The key of what a strip was made from; None if there is none."""
    try:
        with Image.open(path) as image:
            return image.getexif().get(DESCRIPTION)
    except OSError:
        return None


def wanting(paths: list[Path]) -> list[Path]:
    """Those of the scenarios whose strip is missing or stale."""
    return [path for path in paths if key_in(strip_of(path)) != key_of(scenario.load_scenario(path))]


def shipped() -> list[Path]:
    return [it.path for found in scenario.library().values() for it in found if it.path]


@lru_cache
def _located(mode: str) -> Located:
    return resolve("embedded", mode=mode)


def _start(it: Scenario, located: Located) -> StartImage:
    ships = start_images(located.config.name)
    start = start_image(wanted_image(it, ships) or ships[0], ships)
    return start.fitted(located.config.height, located.config.width)


def strip(it: Scenario, model: WorldModel) -> Image.Image:
    """Runs a scenario; its strip."""
    from mgdemo.render import blocks

    world = model.start(_start(it, _located(it.mode)).picture, it.seed or 0)
    frames = np.concatenate([world.step(block) for block in blocks(it.track)])[: len(it.track)]
    width, height = SIZE
    picture = Image.new("RGB", (width, height * STRIP_FRAMES))
    for row, moment in enumerate(MOMENTS):
        frame = Image.fromarray(frames[round(moment * (len(frames) - 1))])
        picture.paste(frame.resize(SIZE, Image.Resampling.LANCZOS), (0, row * height))
    return picture


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("scenarios", nargs="*", type=Path, metavar="SCENARIO", help="default: all that ship")
    paths = parser.parse_args(arguments).scenarios
    from mgdemo.loading import load_world_model

    models: dict[str, WorldModel] = {}
    for path in wanting(paths or shipped()):
        it = scenario.load_scenario(path)
        if it.mode not in models:
            models[it.mode] = load_world_model(_located(it.mode), device="cpu", optimization="")
        picture = strip(it, models[it.mode])
        exif = Image.Exif()
        exif[DESCRIPTION] = key_of(it)
        picture.save(strip_of(path), "WEBP", quality=QUALITY, method=6, exif=exif)
        print(f"{strip_of(path)}: {strip_of(path).stat().st_size} bytes", file=sys.stderr)


if __name__ == "__main__":
    main()
