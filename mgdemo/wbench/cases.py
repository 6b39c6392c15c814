"""WBench's case files: what is asked of a world, turn by turn."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from mgdemo.actions import MODES
from mgdemo.errors import UserError
from mgdemo.scenario.opposites import OPPOSITES
from mgdemo.scenario.words import printable, quoted

MODE = "universal"  # the one whose controls its turns name
MAX_BYTES = 2**20
MAX_TURNS = 99  # each has a mark, and so has the end
ID = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$"  # it becomes the name of files
STOP = "stop"
CONTROLS = {"w": "forward", "s": "back", "a": "left", "d": "right"}
CONTROLS |= {"↑": "look_up", "↓": "look_down", "←": "look_left", "→": "look_right"}
CONTROLS |= {way: f"look_{way}" for way in ("up", "down", "left", "right")}


class CaseError(UserError):
    """A file that is not a WBench case, or one that cannot be used; the message says why."""


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)


class _Settings(_Part):
    initial_image: str = Field(min_length=1, max_length=1000)


class _Interaction(_Part):
    turn: int | None = None
    action: str | None = Field(
        None, validation_alias=AliasChoices("action", "action_key")
    )  # so in older files


class _File(_Part):
    id: str | int
    description: str | None = None
    settings: _Settings
    interactions: list[_Interaction] = Field(min_length=1, max_length=MAX_TURNS)


@dataclass(frozen=True)
class Turn:
    """Four seconds. held: controls of `MODE`, in its order; action: as it is written, if it is no navigation
    (then nothing is held).
    """

    held: tuple[str, ...]
    action: str | None = None


@dataclass(frozen=True)
class Case:
    """What a case file asks for. image: the path of the start image."""

    id: str
    description: str
    image: Path
    turns: tuple[Turn, ...]

    @property
    def loops(self) -> bool:
        """Whether the second half undoes the first, so that the view at the end is that of the start."""
        held = [frozenset(turn.held) for turn in self.turns]
        back = [frozenset(OPPOSITES[MODE][name] for name in names) for names in reversed(held)]
        return held == back and any(held)


def read_case(path: Path, data: Path | None = None) -> Case:
    """The case in a JSON file. Raises CaseError and OSError.

    data: the folder that the path of its start image is relative to; by default the file's own, else the one
    above that.
    """
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise CaseError(f"{path.name} is larger than {MAX_BYTES // 2**20} MB: give a case of WBench.")
    try:
        found = _File.model_validate(json.loads(text))
    except ValidationError as error:
        raise CaseError(f"{path.name} is not a WBench case: {_problem(error)}.") from None
    except (ValueError, RecursionError):
        raise CaseError(f"{path.name} is not JSON: give a case of WBench.") from None
    turns = _in_order(path, found.interactions)
    image = _image(path, found.settings.initial_image, data)
    description = printable(found.description or "")
    return Case(_id(path, found), description, image, tuple(_turn(turn.action or "") for turn in turns))


def _problem(error: ValidationError) -> str:
    """The first mistake in few words, as in "settings.initial_image: Field required"."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"]) or "the file"
    return printable(f"{place}: {first['msg']}")[:200]


def _id(path: Path, found: _File) -> str:
    if not re.fullmatch(ID, str(found.id)):
        raise CaseError(
            f"{path.name} has the id {quoted(found.id)}, which cannot be the name of a file: "
            f"use letters, digits, _ and -, 40 at most."
        )
    return str(found.id)


def _in_order(path: Path, turns: list[_Interaction]) -> list[_Interaction]:
    numbers = [turn.turn for turn in turns if turn.turn is not None]
    if not numbers:
        return turns
    if len(set(numbers)) < len(turns):
        raise CaseError(f"{path.name} does not number each turn differently: correct its interactions.")
    return sorted(turns, key=lambda turn: turn.turn or 0)


def _turn(action: str) -> Turn:
    keys = [key.strip().casefold() for key in action.replace("\ufe0f", "").split("+")]
    if not all(key == STOP or key in CONTROLS for key in keys):
        return Turn((), "".join(c for c in printable(action) if c.isprintable()) or "nothing is said")
    held = {CONTROLS[key] for key in keys if key != STOP}
    return Turn(tuple(control.name for control in MODES[MODE].controls if control.name in held))


def _image(path: Path, name: str, data: Path | None) -> Path:
    folders = [data] if data else [path.parent, path.resolve().parent.parent]
    for folder in folders:
        try:
            image = (folder / name).resolve()
            if image.is_relative_to(folder.resolve()) and image.is_file():
                return image
        except (OSError, ValueError, RuntimeError):  # no name of a file
            continue
    where = f"in {data}" if data else "beside the case or one folder above it"
    raise CaseError(
        f"{path.name} starts from {quoted(name)}, which is not {where}: give the folder with --data."
    )
