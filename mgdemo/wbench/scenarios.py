"""WBench's cases as scenario files, each with its start image beside it."""

from __future__ import annotations

import math
import re
import shutil
from pathlib import Path

import yaml

from mgdemo.actions import MODES
from mgdemo.errors import UserError
from mgdemo.picture import open_picture
from mgdemo.scenario.grammar import MAX_LENGTH
from mgdemo.wbench.cases import ID, MODE, Case, Turn

TITLE = "WBench "  # before a case's id
TURN, END = "turn", "end"  # marks: where turn 1 begins, and where the last one has led
SECONDS = 4  # of a turn


class ExistsError(UserError):
    """A file that would be overwritten."""


def case_of(title: str) -> str | None:
    """The id of the case that a scenario of this title came from, if it came from one.

    A comparison adds to its titles: "WBench e_5, seed 3".
    """
    found = title.partition(",")[0].removeprefix(TITLE)
    return found if title.startswith(TITLE) and re.fullmatch(ID, found) else None


def write_scenario(case: Case, folder: Path) -> Path:
    """Write <id>.yaml and its start image into a folder. Raises ExistsError, PictureError and OSError.

    Its marks say where each turn begins and where the last one has led; if the case loops, that the view is
    the first one again. What is there already must be the same: somebody may have worked on it.
    """
    open_picture(case.image)
    suffix = case.image.suffix.lower() if re.fullmatch(r"\.[a-z0-9]{1,5}", case.image.suffix.lower()) else ""
    path, image = folder / f"{case.id}.yaml", folder / f"{case.id}{suffix or '.png'}"
    folder.mkdir(parents=True, exist_ok=True)
    text = scenario_text(case, image.name)
    for there, data in ((path, text.encode()), (image, case.image.read_bytes())):
        if there.exists() and there.read_bytes() != data:
            raise ExistsError(f"{there} exists and differs: delete it, or choose another folder with --out.")
    if not image.exists():
        shutil.copyfile(case.image, image)
    path.write_text(text, encoding="utf-8")
    return path


def scenario_text(case: Case, image: str) -> str:
    """The scenario of a case as YAML. image: the name of its start image beside it."""
    head = {
        "title": TITLE + case.id,
        "description": case.description[: MAX_LENGTH["description"]],
        "mode": MODE,
        "image": image,
    }
    words = yaml.safe_dump(
        {name: value for name, value in head.items() if value},
        sort_keys=False,
        allow_unicode=True,
        width=math.inf,
    )
    lines = ["actions:"]
    for number, turn in enumerate(case.turns, 1):
        lines += [f"  - mark: {TURN} {number}", _step(turn)]
    back = f"returns_to: {TURN} 1" if case.loops else ""
    lines.append(f"  - {{mark: {END}, {back}}}" if back else f"  - mark: {END}")
    lines.append("  - {for: 1 frame}  # the picture to which the last turn leads")
    return words + "\n".join(lines) + "\n"


def _step(turn: Turn) -> str:
    labels = [control.label for control in MODES[MODE].controls if control.name in turn.held]
    held = f"hold: [{', '.join(labels)}], " if labels else ""
    note = "" if turn.action is None else f"  # no navigation, so nothing is held: {turn.action[:80]}"
    return f"  - {{{held}for: {SECONDS}s}}{note}"
