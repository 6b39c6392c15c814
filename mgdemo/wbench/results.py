"""Our films in the folder that WBench's evaluation reads."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from av.error import FFmpegError

from mgdemo.blocks import FPS
from mgdemo.errors import UserError
from mgdemo.replay import replay_from_tags
from mgdemo.scenario import Scenario, ScenarioError
from mgdemo.video.mp4 import frame_count, metadata
from mgdemo.wbench.scenarios import END, TURN, case_of


class ResultsError(UserError):
    """Films that make no results; the message says what to change."""


@dataclass(frozen=True)
class Clip:
    """The film of a case. turn_frames: where each turn begins, and the end, increasing from 0."""

    case: str
    film: Path
    checkpoint: str
    turn_frames: tuple[int, ...]


def find_clips(paths: Iterable[Path], checkpoint: str | None = None) -> list[Clip]:
    """The films of WBench's cases among files and in folders, in the order of their cases.

    checkpoint: only those of this one. Raises ResultsError: for a film that is not complete, and if there are
    several of a case.
    """
    found: dict[str, Clip] = {}
    for path in paths:
        if not path.exists():
            raise ResultsError(f"{path} does not exist: give films, or folders with films.")
        for film in _films(path) if path.is_dir() else [path]:
            clip = _clip(film, named=not path.is_dir())
            if clip is None or (checkpoint and clip.checkpoint != checkpoint):
                continue
            other = found.setdefault(clip.case, clip)
            if other.film != clip.film:
                cure = "give only one of them"
                if other.checkpoint != clip.checkpoint:
                    cure = f"choose with --checkpoint {other.checkpoint} or {clip.checkpoint}"
                raise ResultsError(
                    f"Case {clip.case} has several films, {other.film} and {clip.film}: {cure}."
                )
    if not found:
        of = f" of {checkpoint}" if checkpoint else ""
        raise ResultsError(f"There are no films{of} of imported WBench cases there.")
    return sorted(found.values(), key=lambda clip: [*map(_natural, re.findall(r"\d+|\D+", clip.case))])


def _natural(part: str) -> tuple[bool, int, str]:
    return (False, int(part), "") if part.isdigit() else (True, 0, part)


def _films(folder: Path) -> list[Path]:
    """Without those that are not finished, and those with the keys drawn on them."""
    drawn = "_icon", "-keys"
    films = sorted(folder.rglob("*.mp4"))
    hidden = [film for film in films if any(p.startswith(".") for p in film.relative_to(folder).parts)]
    return [film for film in films if film not in hidden and not film.stem.endswith(drawn)]


def _clip(film: Path, *, named: bool) -> Clip | None:
    """What a film is of; None if it is none of a case, and was not `named` by the user."""
    try:
        replay = replay_from_tags(metadata(film), film.name)
        frames = frame_count(film)
    except (ScenarioError, FFmpegError, OSError, ValueError) as error:
        if named:
            raise ResultsError(f"{film} cannot be used: {error}") from error
        return None
    case = case_of(replay.scenario.title)
    if case is None:
        if named:
            raise ResultsError(f"{film} is not the film of a case: run a scenario that was imported.")
        return None
    turns = _turn_frames(replay.scenario)
    if not turns or turns[-1] > frames:
        raise ResultsError(f"{film} ends before the last turn of case {case}: run that scenario again.")
    return Clip(case, film, replay.checkpoint or "", turns)


def _turn_frames(scenario: Scenario) -> tuple[int, ...]:
    """() if it does not reach the end."""
    places = {mark.name: mark.frame for mark in scenario.marks}
    if END not in places:
        return ()
    turns = [frame for name, frame in places.items() if re.fullmatch(rf"{TURN} \d+", name)]
    frames = (*turns, places[END])
    rising = all(a < b for a, b in pairwise(frames))
    return frames if turns and frames[0] == 0 and rising else ()


def write_results(clips: list[Clip], folder: Path, about: dict[str, str]) -> None:
    """Write videos/case_<id>_combined.mp4, meta.json and turns.json into a new folder.

    about: model_name, display_name, org and contact. Raises ResultsError and OSError; then nothing is there.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResultsError(f"{folder} is not empty: choose another folder with --out.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".wbench-", dir=folder.parent) as made:
        filling = Path(made) / "results"
        (filling / "videos").mkdir(parents=True)
        for clip in clips:
            shutil.copyfile(clip.film, filling / "videos" / f"case_{clip.case}_combined.mp4")
        meta = {"model_name": about["model_name"], "type": "action"} | about
        turns = {"fps": FPS, "cases": {c.case: {"turn_frames": list(c.turn_frames)} for c in clips}}
        for name, value in (("meta.json", meta), ("turns.json", turns)):
            text = json.dumps(value, indent=2, ensure_ascii=False)
            (filling / name).write_text(text + "\n", encoding="utf-8")
        if folder.exists():
            folder.rmdir()
        filling.rename(folder)
