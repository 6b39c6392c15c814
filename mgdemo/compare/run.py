"""Making the runs of a grid: each a scenario session of the service, measured and kept."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mgdemo import __version__
from mgdemo import messages as m
from mgdemo.compare.plan import Run
from mgdemo.compare.store import RunStore, StoredRun, write_json
from mgdemo.errors import UserError
from mgdemo.measure.run import RunMeasures
from mgdemo.picture import prepare_image
from mgdemo.serving import SessionRequest, SessionService
from mgdemo.serving.waiting import in_thread
from mgdemo.video.digest import TAG
from mgdemo.video.mp4 import metadata, read_frames

Heard = Callable[[m.Status, bytes | None, str], None]


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

    async def make(self, run: Run, heard: Heard, played: Callable[[], None], visitor: str = "") -> StoredRun:
        """Make one run; canceling ends it, and nothing of it is left.

        heard: called with each status, a small JPEG of the latest frame and the session's token; played: when
        the service is done with it, and it is to be measured.
        visitor: as in `SessionRequest`. Raises RunFailed, ServingError or OSError.
        """
        with self.store.filling(run.key) as folder:
            seconds, report = await self._play(run, folder, heard, visitor)
            played()
            await in_thread(self._measure, run, folder, seconds, report)
        stored = self.store.get(run.key)
        assert stored is not None, "its folder was just filled"
        return stored

    async def _play(self, run: Run, folder: Path, heard: Heard, visitor: str) -> tuple[float, m.Report]:
        """Have the film made as `folder`/video.mp4; gives the seconds that it took, and a report."""
        case = run.case
        session = self.service.open(
            SessionRequest(
                run.variant.checkpoint,
                run.start,
                run.seed,
                run.track,
                case.title,
                visitor,
                background=True,
                folder=folder,
                marks=case.marks,
                optimization=run.variant.optimization,
            )
        )
        began = time.monotonic()
        try:
            async for status in session.statuses():
                heard(status, session.picture(), session.token)
            ended = await session.ended()
        except BaseException:
            session.end("ended", "The comparison was stopped.")
            await session.ended()  # its recorder must not be left without a folder
            raise
        if ended.outcome == "error" or ended.recording is None:
            raise RunFailed(ended.text)
        if ended.recording.frames != run.frames:
            raise RunFailed(f"{ended.recording.frames} of {run.frames} frames were made. {ended.text}")
        film = ended.recording.mp4
        film.rename(folder / "video.mp4")
        for rest in folder.iterdir():  # the recorder's own folder
            if rest.is_dir():
                shutil.rmtree(rest, ignore_errors=True)
        return time.monotonic() - began, session.course.report or m.Report()

    def _measure(self, run: Run, folder: Path, seconds: float, report: m.Report) -> None:
        film = folder / "video.mp4"
        write_json(folder / "measures.json", measured(run, film))
        write_json(folder / "run.json", self._facts(run, metadata(film).get(TAG, ""), seconds, report))

    def _facts(self, run: Run, digest: str, seconds: float, report: m.Report) -> dict:
        case, variant, joules = run.case, run.variant, report.joules
        return {
            "key": run.key,
            "scenario": case.title,
            "actions": run.actions,
            "mode": variant.mode,
            "checkpoint": variant.checkpoint,
            "title": variant.title,
            "weights": variant.weights,
            "optimization": variant.optimization,
            "image": run.start.reference,
            "image_sha256": run.image,
            "seed": run.seed,
            "frames": run.frames,
            "frames_sha256": digest,
            "lost": [vars(lost) for lost in run.translation.lost],
            "timings": {
                "seconds": round(seconds, 3),
                "fps": report.fps,
                "stages": report.stages,
                "load_seconds": report.load_seconds,
                "start_seconds": report.start_seconds,
                "first_block_seconds": report.first_block_seconds,
            },
            "peak_bytes": report.peak_bytes,
            "joules_per_frame": None if joules is None else joules / run.frames,
            "version": __version__,
            "versions": report.versions,
            "device": self.device,
            "hardware": report.hardware,
        }


def measured(run: Run, film: Path) -> dict:
    """The measures of a run's film."""
    height, width = run.variant.size
    start = np.asarray(prepare_image(run.start.picture, height, width))
    marks = [mark.frame for mark in run.case.marks]
    measures = RunMeasures(run.track, start, known=run.variant.known, returns=run.returns, marks=marks)
    for frame in read_frames(film):
        measures.add(frame[None])
    return measures.result()
