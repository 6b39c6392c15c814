"""`mgdemo check`: say of weight files what they are and whether they are whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mgdemo.checkpoints import PARTS, configs
from mgdemo.paths import ROOT, checkpoint_folder
from mgdemo.weight_files.recognize import Report, inspect


def check(
    paths: Iterable[Path],
    *,
    deep: bool = False,
    say: Callable[[str], None] = print,
    progress: Callable[[Path], None] | None = None,
) -> bool:
    """Say of each weight file what it is; of folders also which checkpoints are complete in them.

    Without paths: the embedded worlds, and the folder for published weights. Returns whether each path has
    something that can be played, and nothing is damaged. `deep` and `progress`: see `inspect`.
    """
    fine = True
    for path in list(paths) or _usual():
        if not path.exists():
            say(_absent(path))
            fine = False
            continue
        reports = inspect(path, deep=deep, progress=progress)
        for report in reports:
            say(f"{report.state:5}  {report.path}: {report.text}")
        states = {report.state for report in reports}
        fine &= "ok" in states and "wrong" not in states
        if path.is_dir():
            for line in _complete(reports):
                say(line)
    return fine


def _usual() -> list[Path]:
    worlds = [ROOT / config.files.folder for config in configs() if config.embedded]
    published = checkpoint_folder()
    return [*worlds, published] if published.is_dir() else worlds


def _absent(path: Path) -> str:
    if path.absolute() == checkpoint_folder().absolute():
        return (
            f"none   {path}: no published weights are here yet; `python -m mgdemo download` fetches them. "
            "The embedded worlds play without them."
        )
    return f"none   {path}: there is no such file or folder."


def _complete(reports: list[Report]) -> list[str]:
    """For every checkpoint whose transformer is there: what is not."""
    lines = []
    for config in configs():
        parts = {report.part for report in reports if config.name in report.checkpoints}
        if "transformer" in parts and not config.embedded:
            lacking = [part.replace("_", " ") for part in PARTS if part not in parts]
            said = f"lacks the {' and the '.join(lacking)}" if lacking else "complete"
            lines.append(f"{config.name}: {said}")
    return lines
