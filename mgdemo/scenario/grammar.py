"""The grammar of scenario files as pydantic models: what their fields may hold, and their JSON Schema.

The steps differ with the mode, whose controls and camera they name: `steps` has them for each. What needs
more than one field to judge (times in sum, two names of one control) is left to the compiler.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, reduce
from operator import or_
from types import GenericAlias
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    TypeAdapter,
    WithJsonSchema,
    create_model,
)
from pydantic.config import JsonDict

from mgdemo.actions import MODES, Mode
from mgdemo.blocks import BLOCK_FRAMES, FPS
from mgdemo.errors import UserError
from mgdemo.scenario.opposites import OPPOSITES
from mgdemo.scenario.times import TIME, Duration
from mgdemo.scenario.words import any_case, either, meant, quoted, words_schema
from mgdemo.seeds import MAX_SEED

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_MINUTES = 10
MAX_FRAMES = MAX_MINUTES * 60 * FPS
MOST_FRAMES = MAX_FRAMES + 4 * BLOCK_FRAMES  # a film of 10 minutes ends with its last block, or soon after it
MAX_MARKS = 100
MAX_LENGTH = {"title": 120, "description": 2000, "image": 120, "include": 120, "mark": 60}

# Patterns are also part of the JSON Schema, so they keep to what Rust, Python and ECMAScript share.
# No folders: a stranger's file names no other file.
_FIRST, _NEXT = r"[^./\\:\x00-\x1f\x7f-\x9f]", r"[^/\\:\x00-\x1f\x7f-\x9f]"
IMAGE = f"^(?:embedded:)?{_FIRST}{_NEXT}*$"
INCLUDE = f"^(?:{_FIRST}{_NEXT}*[.][yY][aA]?[mM][lL]|embedded:{_FIRST}{_NEXT}*)$"
SHOWN = r"[^\s\x00-\x1f\x7f-\x9f]"  # anything that can be seen


class ScenarioError(UserError):
    """A scenario that cannot be used; the message names the file, the line and the cure."""


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _number(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _string(value: Any) -> Any:
    return str(value) if isinstance(value, bool | int | float) else value


def _text(name: str, about: str | None = None) -> Any:
    """What a line of text may be; `title: 2024` needs no quotes."""
    types: JsonDict = {"type": ["string", "number", "boolean"]}
    return Field(
        min_length=1, max_length=MAX_LENGTH[name], pattern=SHOWN, json_schema_extra=types, description=about
    )


def mode_names() -> dict[str, str]:
    """The modes by all their names: universal, gta_drive and GTA drive, templerun and Temple Run."""
    names = {mode.name: mode.name for mode in MODES.values()}
    return names | {mode.title: mode.name for mode in MODES.values() if mode.title.lower() != mode.name}


def _mode(word: str) -> str:
    names = {name.casefold(): mode for name, mode in mode_names().items()}
    if word.casefold() not in names:
        raise ValueError(f"unknown mode {quoted(word)}{meant(word, mode_names())}; use {either(MODES)}")
    return names[word.casefold()]


ModeName = Annotated[str, AfterValidator(_mode), WithJsonSchema(words_schema(mode_names()))]
Title = Annotated[str, _text("title"), BeforeValidator(_string)]
Description = Annotated[str, _text("description"), BeforeValidator(_string)]
MarkName = Annotated[
    str,
    _text("mark", "The name of this moment; no other mark of the scenario has it."),
    BeforeValidator(_string),
]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED), BeforeValidator(_number)]
Times = Annotated[int, Field(ge=1, le=MAX_FRAMES), BeforeValidator(_number)]
ImageName = Annotated[
    str,
    Field(
        max_length=MAX_LENGTH["image"],
        pattern=IMAGE,
        description="A file beside the scenario, or embedded:<name>. Without it, the first that ships.",
    ),
]
IncludeName = Annotated[
    str,
    Field(
        max_length=MAX_LENGTH["include"],
        pattern=INCLUDE,
        description="A scenario of the same mode, whose actions are performed here: a file beside this one, "
        "or embedded:<name>.",
    ),
]
Time = Annotated[
    str,
    Field(
        pattern=f"^(?:{TIME})$",
        description="A length of time, such as 2s, 500ms, 18 frames or 4 blocks. A second is 25 frames.",
    ),
    AfterValidator(Duration.of),
]


class File(_Fields):
    """A scripted session, to be run on any checkpoint of its mode."""

    title: Title
    mode: ModeName
    actions: Any
    description: Description | None = None
    image: ImageName | None = None
    seed: Seed | None = None


class Random(_Fields):
    time: Time = Field(alias="for")
    seed: Seed | None = None


class RandomStep(_Fields):
    random: Random


class RepeatStep(_Fields):
    repeat: Times
    actions: list[Any]


class MirrorStep(_Fields):
    """There and back: actions, then each one's opposite, the last one first."""

    mirror: list[Any]


class MarkStep(_Fields):
    """A moment with a name; takes no time."""

    mark: MarkName
    returns_to: MarkName | None = Field(
        None, description="An earlier mark: here the view is the same again, if the world remembers it."
    )


class IncludeStep(_Fields):
    include: IncludeName


# What the parts are called in errors; steps carry theirs as tags in pydantic's locations.
STEP, REPEAT, MIRROR, RANDOM_STEP, MARK, INCLUDE_STEP = (
    "a step",
    "a repeat",
    "a mirror",
    "a random step",
    "a mark",
    "an include",
)
ONE, SEVERAL = "one control", "controls"
KINDS = {  # by the field that only they have
    "repeat": REPEAT,
    "mirror": MIRROR,
    "random": RANDOM_STEP,
    "mark": MARK,
    "include": INCLUDE_STEP,
}
Axis = Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)]


def _kind(step: Any) -> str:
    keys = step if isinstance(step, dict) else ()
    return next((kind for key, kind in KINDS.items() if key in keys), STEP)


def _amount(held: Any) -> str:
    return SEVERAL if isinstance(held, list) else ONE


def _no_random(step: Any) -> Any:
    raise ValueError("random actions cannot be mirrored; move them out of the mirror")


NoRandom = Annotated[Any, AfterValidator(_no_random), WithJsonSchema({"not": {}})]


@cache
def steps(mode_name: str) -> TypeAdapter[list]:
    """Validates the steps of a mode, and has their JSON Schema."""
    mode = MODES[mode_name]
    return TypeAdapter(_steps(mode, "", _steps(mode, "Mirrored", None)))


def _steps(mode: Mode, prefix: str, mirrored: Any) -> Any:
    """A list of steps; `mirrored`: what a mirror holds, None for such a list itself."""
    held = _held(mode, mirrored is None)
    fields: dict[str, Any] = {"time": (Time, Field(alias="for")), "hold": (held | None, None)}
    if mode.axes:
        about = "Analog camera, per frame; a held key is worth 0.1, up and right are positive."
        axes: dict[str, Any] = dict.fromkeys(mode.axes, (Axis, 0.0))
        camera = create_model("Camera", __base__=_Fields, **axes)
        fields["camera"] = (_with(camera, Field(description=about)) | None, None)
    repeated: dict[str, Any] = {"actions": ("Steps", ...)}
    repeat = create_model(f"{prefix}Repeat", __base__=RepeatStep, **repeated)
    gone: dict[str, Any] = {"mirror": ("Steps" if mirrored is None else mirrored, ...)}
    mirror = create_model(f"{prefix}Mirror", __base__=MirrorStep, **gone)
    kinds = {
        STEP: create_model(f"{prefix}Step", __base__=_Fields, **fields),
        REPEAT: repeat,
        MIRROR: mirror,
        RANDOM_STEP: NoRandom if mirrored is None else RandomStep,
        MARK: MarkStep,
        INCLUDE_STEP: IncludeStep,
    }
    lasting: JsonDict = {"contains": {"not": {"required": ["mark"]}}}
    several = _with(GenericAlias(list, (_one_of(kinds, _kind),)), Field(min_length=1), AfterValidator(_last))
    several = _with(several, Field(json_schema_extra=lasting))
    for model in (repeat, mirror):
        model.model_rebuild(_types_namespace={"Steps": several})
    return several


def _last(steps: list[Any]) -> list[Any]:
    if all(isinstance(step, MarkStep) for step in steps):
        raise ValueError('a mark takes no time; add a step, such as "- {hold: [W], for: 2s}"')
    return steps


def _with(kind: Any, *more: Any) -> Any:
    """An annotated type that is put together at run time."""
    annotated: Any = Annotated
    return annotated[(kind, *more)]


def _one_of(kinds: dict[str, Any], judge: Callable[[Any], str]) -> Any:
    """One of several types, told apart by a function that names it."""
    return _with(reduce(or_, (_with(kind, Tag(tag)) for tag, kind in kinds.items())), Discriminator(judge))


def _held(mode: Mode, mirrored: bool) -> Any:
    """One control, or a list of several different ones. mirrored: those that have an opposite."""
    allowed = [c for c in mode.controls if not mirrored or c.name in OPPOSITES[mode.name]]
    names = {c.name: (c.label, c.name, c.code, *c.aliases) for c in allowed}
    everything = [name for several in names.values() for name in several]

    def known(word: str) -> str:
        if control := mode.control(word):
            if control not in allowed:
                raise ValueError(
                    f"{quoted(word)} has no opposite, so it cannot be mirrored; move it out of the mirror"
                )
            return control.name
        labels = ", ".join(control.label for control in allowed)
        near = meant(word, everything) if len(word) > 2 else ""
        raise ValueError(f"unknown control {quoted(word)} for mode {mode.name}{near}; use one of {labels}")

    hints = "; ".join(f"{control.label}: {control.hint.lower()}" for control in allowed)
    about = f"Controls held together. {hints}."
    key = _with(str, AfterValidator(known), WithJsonSchema(words_schema(everything)))
    once: JsonDict = {
        "allOf": [
            {"contains": {"pattern": any_case(several)}, "minContains": 0, "maxContains": 1}
            for several in names.values()
        ]
    }
    most = Field(max_length=1 if mode.one_hot else len(names), json_schema_extra=once)
    keys = _with(GenericAlias(list, (key,)), most)
    return _with(_one_of({ONE: key, SEVERAL: keys}, _amount), Field(description=about))
