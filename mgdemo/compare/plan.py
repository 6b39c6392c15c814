"""The plan of a comparison: its runs, their size, and what is translated."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mgdemo.actions import ActionTrack
from mgdemo.blocks import FPS, frames_in_blocks
from mgdemo.compare.translate import By, Translation, translate
from mgdemo.errors import UserError
from mgdemo.picture import StartImage
from mgdemo.scenario import Mark

Speeds = Mapping[tuple[str, str], float]  # frames a second, by what a column is `made_with`
MAX_COLUMNS = 6
MAX_RUNS = 150  # of a visitor's comparison: its page, film and report show all of them
AFTERWARDS = 0.011  # seconds a frame that measures, report and film of a grid take, about, on two cores
KEY_LENGTH = 24  # characters of a run's name


class PlanError(UserError):
    """A comparison that cannot be made; the message says what to change."""


@dataclass(frozen=True)
class Variant:
    """A column: a checkpoint with its settings.

    weights: identifies its files, as `mgdemo.compare.catalog.weights_id` does. known: whether it moves at the
    embedded worlds' speeds, so that sizes of motion can be judged. start: the first start image that ships
    for it. seed: instead of the rows' own, so that seeds stand beside each other.
    """

    checkpoint: str
    mode: str
    size: tuple[int, int]  # height and width of the picture
    weights: str
    known: bool
    optimization: str = ""
    title: str = ""
    start: StartImage | None = None
    seed: int | None = None

    @property
    def made_with(self) -> tuple[str, str]:
        """What its speed depends on: checkpoint and optimization."""
        return self.checkpoint, self.optimization


@dataclass(frozen=True, eq=False)
class Case:
    """A row: a scenario from a start image with a seed. marks: its named moments, in order."""

    title: str
    track: ActionTrack
    start: StartImage
    seed: int = 0
    returns: tuple[tuple[int, int], ...] | None = None  # frames to compare; None: found by dead reckoning
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, eq=False)
class Run:
    """One cell of a grid. start, seed: the row's, unless the column has its own."""

    case: Case
    variant: Variant
    start: StartImage
    seed: int
    translation: Translation
    key: str

    @property
    def track(self) -> ActionTrack:
        """The actions as they are run: translated, and filled up to whole blocks."""
        return self.translation.track.padded()

    @property
    def frames(self) -> int:
        return frames_in_blocks(self.track.blocks)

    @property
    def actions(self) -> str:
        """The SHA-256 of its actions."""
        track = self.translation.track
        return _hash("".join(_actions(track).values()).encode())

    @property
    def image(self) -> str:
        """The SHA-256 of its start image's pixels."""
        return self.start.sha256

    @property
    def returns(self) -> tuple[tuple[int, int], ...] | None:
        """The case's; in another mode, the way back may lead elsewhere."""
        return self.case.returns if self.variant.mode == self.case.track.mode else None


@dataclass(frozen=True, eq=False)
class Grid:
    """Runs by row, then column; the leftmost column is the baseline."""

    rows: tuple[Case, ...]
    columns: tuple[Variant, ...]
    runs: tuple[tuple[Run, ...], ...]

    @property
    def all(self) -> list[Run]:
        """Every run, row by row."""
        return [run for row in self.runs for run in row]

    @property
    def frames(self) -> int:
        """Video frames of all runs."""
        return sum(run.frames for run in self.all)

    @property
    def lost_frames(self) -> int:
        """Frames in which a control has no counterpart in its column's mode."""
        return sum(run.translation.lost_frames for run in self.all)


def grid(
    rows: Sequence[Case],
    columns: Sequence[Variant],
    *,
    version: str,
    device: str,
    by: By = "meaning",
) -> Grid:
    """Plan every row in every column.

    version: of the program; device: its kind, as in "cpu". Both change the frames, so both are in the keys.
    Raises PlanError.
    """
    if not rows or not columns:
        raise PlanError("There is nothing to compare: choose a scenario and a checkpoint.")
    if len(columns) > MAX_COLUMNS:
        raise PlanError(f"{len(columns)} columns do not fit beside each other: choose {MAX_COLUMNS} at most.")
    if any(not len(case.track) for case in rows):
        raise PlanError("A scenario without actions has nothing to compare.")
    runs = tuple(tuple(_run(case, column, version, device, by) for column in columns) for case in rows)
    return Grid(tuple(rows), tuple(columns), runs)


def check_size(rows: Sequence[Case], columns: Sequence[Variant], most: int | None) -> None:
    """Raises PlanError where all runs together have more video frames than `most`, or where there are more
    than `MAX_RUNS`; None: any number of both, as for people on a machine of their own.

    It needs no plan, so that what is far too much costs nothing.
    """
    if most is None:
        return
    frames = len(columns) * sum(frames_in_blocks(case.track.blocks) for case in rows)
    if frames > most:
        raise PlanError(
            f"{frames} frames are too many for one comparison here: choose fewer or shorter "
            f"scenarios, up to {most} frames together, or use `mgdemo compare`."
        )
    if (runs := len(rows) * len(columns)) > MAX_RUNS:
        raise PlanError(
            f"{runs} runs are too many for one comparison here: choose fewer scenarios, seeds, start images "
            f"or checkpoints, up to {MAX_RUNS} runs together, or use `mgdemo compare`."
        )


def _run(case: Case, variant: Variant, version: str, device: str, by: By) -> Run:
    translation, start = translate(case.track, variant.mode, by), start_of(case, variant)
    seed = case.seed if variant.seed is None else variant.seed
    key = run_key(translation.track, start, seed, variant, version, device)
    return Run(case, variant, start, seed, translation, key)


def start_of(case: Case, variant: Variant) -> StartImage:
    """The case's start image; where that belongs to another mode's world, the first one of this mode."""
    foreign = case.start.reference is not None and variant.mode != case.track.mode
    return variant.start or case.start if foreign else case.start


def run_key(
    track: ActionTrack, start: StartImage, seed: int, variant: Variant, version: str, device: str
) -> str:
    """The name of a run: the hash of all that its frames depend on."""
    facts = _actions(track) | {
        "mode": track.mode,
        "frames": len(track),
        "image": start.sha256,
        "image_size": start.picture.size,
        "seed": seed,
        "weights": variant.weights,
        "checkpoint": variant.checkpoint,
        "optimization": variant.optimization,
        "version": version,
        "device": device,
    }
    return _hash(json.dumps(facts, sort_keys=True).encode())[:KEY_LENGTH]


def _actions(track: ActionTrack) -> dict[str, str]:
    mouse = b"" if track.mouse is None else np.ascontiguousarray(track.mouse).tobytes()
    return {"keyboard": _hash(np.ascontiguousarray(track.keyboard).tobytes()), "mouse": _hash(mouse)}


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def seconds_of(runs: Sequence[Run], speeds: Speeds, devices: int = 1) -> float | None:
    """The time that runs take, side by side on so many devices; None if a speed is unknown."""
    if any(not speeds.get(run.variant.made_with) for run in runs):
        return None
    together = max(1, min(devices, len(runs)))
    return sum(run.frames / speeds[run.variant.made_with] for run in runs) / together


def summary(planned: Grid, speeds: Speeds | None = None, devices: int = 1, kept: Collection[str] = ()) -> str:
    """What a person reads before a comparison begins, with the time until its report is there; without
    speeds, what it consists of.

    devices: that make runs side by side. kept: keys of runs that exist already.
    """
    runs = len(planned.all)
    text = f"{runs} run{'s' * (runs != 1)}, {planned.frames} frames ({planned.frames / FPS:.0f} s of video)"
    if speeds is not None:
        todo = list({run.key: run for run in planned.all if run.key not in kept}.values())
        seconds = seconds_of(todo, speeds, devices)
        if seconds is not None:
            seconds += planned.frames * AFTERWARDS
        time = "in a time that is not known yet" if seconds is None else f"about {_time(seconds)}"
        text += f", {time}" if todo else ", all made already"
    if lost := planned.lost_frames:
        text += f"; in {lost} frame{'s' * (lost != 1)} a control has no counterpart"
    return text + "."


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"
