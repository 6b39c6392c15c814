"""The films of a report: small enough to lie inside one HTML file, or beside it as they are."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from mgdemo.blocks import FPS
from mgdemo.compare.store import StoredRun
from mgdemo.video.mp4 import metadata, read_frames, write_mp4

BUDGET = 6_000_000  # bytes of all films together; as text they are a third longer
CRF = 24  # where the budget allows
LEAST_RATE = 60_000  # bits a second; below, nothing can be seen: then the report is longer
KEY_FRAMES = FPS  # a key frame every second, so that scrubbing is quick


def inside(stored: StoredRun, seconds: float) -> str:
    """A data address with a run's film in it. seconds: of all films that share the budget."""
    rate = max(LEAST_RATE, round(8 * BUDGET / max(seconds, 1.0)))
    options = ["-maxrate", str(rate), "-bufsize", str(2 * rate), "-g", str(KEY_FRAMES), "-bf", "0"]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.mp4"
        write_mp4(path, read_frames(stored.video), FPS, crf=CRF, options=options)
        return "data:video/mp4;base64," + base64.b64encode(path.read_bytes()).decode()


def beside(stored: StoredRun, folder: Path) -> str:
    """The film's address, relative to the report's folder."""
    return Path(os.path.relpath(stored.video.resolve(), folder.resolve())).as_posix()


def seconds_of(runs: Iterable[StoredRun | None]) -> float:
    """Of all films together; a run that is in several cells counts once for each."""
    return sum(run.facts["frames"] / FPS for run in runs if run)


def scenario_of(stored: StoredRun) -> str:
    """The scenario inside a run's film, as text; "" if there is none."""
    return metadata(stored.video).get("scenario", "")
