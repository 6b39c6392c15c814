"""Making the runs of a grid: each a scenario session of the service, measured and kept."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import platform
import shutil
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mgdemo import __version__
from mgdemo.compare.plan import Grid, Run
from mgdemo.compare.store import RunStore, StoredRun, write_json
from mgdemo.errors import UserError
from mgdemo.measure.run import RunMeasures
from mgdemo.picture import prepare_image
from mgdemo.serving import SessionRequest, SessionService
from mgdemo.video.mp4 import read_frames

log = logging.getLogger(__name__)

Progress = Callable[[Run, float, str], None]  # called with a run, the share done, 0 to 1, and words about it


class RunFailed(UserError):
    """A run that ended before its time; the message is the service's."""


@dataclass(frozen=True)
class Outcome:
    """How a run of a grid came out: `stored`, or why not in `error`; `kept`: it was there already."""

    run: Run
    stored: StoredRun | None
    error: str = ""
    kept: bool = False


class Runner:
    """Makes runs through a service and keeps them in a store."""

    def __init__(self, service: SessionService, store: RunStore, *, device: str):
        """device: the kind that the keys were planned with."""
        self.service, self.store, self.device = service, store, device

    async def outcomes(self, grid: Grid, progress: Progress) -> AsyncIterator[Outcome]:
        """All runs in order, column by column, so that each checkpoint is loaded once.

        What is finished already costs nothing. A run that fails does not keep the others from being made.
        Closing the iterator ends the run under way; the finished ones stay.
        """
        for column in range(len(grid.columns)):
            for row in grid.runs:
                run = row[column]
                if stored := self.store.get(run.key):
                    yield Outcome(run, stored, kept=True)
                    continue
                try:
                    yield Outcome(run, await self.make(run, progress))
                except (UserError, OSError) as error:
                    log.warning("A run of %s failed: %s", run.variant.checkpoint, error)
                    yield Outcome(run, None, str(error))

    async def make(self, run: Run, progress: Progress) -> StoredRun:
        """Make one run. Raises RunFailed, ServingError or OSError."""
        case, variant = run.case, run.variant
        session = self.service.open(
            SessionRequest(variant.checkpoint, run.start, case.seed, run.track, case.title)
        )
        began, speeds = time.monotonic(), []
        try:
            async for status in session.statuses():
                if status.fps:
                    speeds.append(status.fps)
                share = status.progress if status.phase == "playing" else None
                progress(run, share or 0.0, status.text)
            ended = await session.ended()
        finally:
            session.end("ended", "The comparison was stopped.")
        if ended.outcome == "error" or ended.recording is None:
            raise RunFailed(ended.text)
        if ended.recording.frames != run.frames:
            raise RunFailed(f"{ended.recording.frames} of {run.frames} frames were made. {ended.text}")
        timings = {
            "seconds": time.monotonic() - began,
            "fps": float(np.median(speeds)) if speeds else None,
        }
        film = ended.recording.mp4
        progress(run, 1.0, "Measuring")
        return await asyncio.to_thread(self._keep, run, film, timings)

    def _keep(self, run: Run, film: Path, timings: dict) -> StoredRun:
        with self.store.filling(run.key) as folder:
            shutil.copyfile(film, folder / "video.mp4")
            measures, digest = measured(run, film)
            write_json(folder / "measures.json", measures)
            write_json(folder / "run.json", self._facts(run, digest, timings))
        stored = self.store.get(run.key)
        assert stored is not None, "its folder was just filled"
        return stored

    def _facts(self, run: Run, digest: str, timings: dict) -> dict:
        case, variant = run.case, run.variant
        return {
            "key": run.key,
            "scenario": case.title,
            "mode": variant.mode,
            "checkpoint": variant.checkpoint,
            "title": variant.title,
            "weights": variant.weights,
            "optimization": variant.optimization,
            "image": run.start.reference,
            "seed": case.seed,
            "frames": run.frames,
            "frames_sha256": digest,
            "lost": [vars(lost) for lost in run.translation.lost],
            "timings": timings,
            "version": __version__,
            "device": self.device,
            "machine": {"system": platform.system(), "processor": platform.machine()},
        }


def measured(run: Run, film: Path) -> tuple[dict, str]:
    """The measures of a run's film, and the SHA-256 of its frames as they are read back."""
    height, width = run.variant.size
    start = np.asarray(prepare_image(run.start.picture, height, width))
    measures = RunMeasures(run.track, start, known=run.variant.known, returns=run.case.returns)
    digest = hashlib.sha256()
    for frame in read_frames(film):
        measures.add(frame[None])
        digest.update(frame.tobytes())
    return measures.result(), digest.hexdigest()
