"""Whether YAML nodes are a scenario; every error names the line, the column and the cure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from mgdemo.actions import MODES
from mgdemo.scenario import grammar
from mgdemo.scenario.grammar import MAX_FRAMES, MAX_LENGTH, ScenarioError
from mgdemo.scenario.nodes import Node, Source
from mgdemo.scenario.words import either, meant, quoted
from mgdemo.seeds import MAX_SEED

TIMES = "write it like 2s, 18 frames or 4 blocks"
LIST = '{} must be a list of steps, such as "- {{hold: [W], for: 2s}}"'
FIELDS = {
    "a scenario": ("title", "mode", "actions", "description", "image", "seed"),
    grammar.STEP: ("for", "hold", "camera"),
    grammar.REPEAT: ("repeat", "actions"),
    grammar.MIRROR: ("mirror",),
    grammar.RANDOM_STEP: ("random",),
    grammar.INCLUDE_STEP: ("include",),
    grammar.MARK: ("mark", "returns_to"),
    "random": ("for", "seed"),
}
PROBLEMS = {
    "title": f"title must have 1 to {MAX_LENGTH['title']} characters",
    "description": f"description must have 1 to {MAX_LENGTH['description']} characters",
    "image": "image must be the name of a file beside the scenario, or embedded:<name>",
    "seed": f"seed must be a whole number from 0 to {MAX_SEED}",
    "include": "include must be the name of a scenario beside this one, as in other.yaml, or embedded:<name>",
    "mark": f"mark must be a name of 1 to {MAX_LENGTH['mark']} characters",
    "returns_to": "returns_to must be the name of an earlier mark",
    "repeat": f"repeat must be a whole number from 1 to {MAX_FRAMES}",
}


@dataclass(frozen=True)
class Checked:
    """A scenario whose fields are right one by one, and where they stand."""

    source: Source
    root: Node
    file: grammar.File
    steps: list[Any]

    @property
    def actions(self) -> Node:
        return self.root.part("actions")


def check(source: Source, text: str | bytes) -> Checked:
    """Read a scenario as far as a field can be judged by itself. Raises ScenarioError."""
    root = source.nodes(text)
    try:
        file = grammar.File.model_validate(root.plain())
    except ValidationError as error:
        raise _told(source, root, "a scenario", error) from None
    actions = root.part("actions")
    try:
        steps = grammar.steps(file.mode).validate_python(file.actions)
    except ValidationError as error:
        raise _told(source, actions, LIST.format("actions"), error, file.mode) from None
    return Checked(source, root, file, steps)


def _told(source: Source, node: Node, what: str, errors: ValidationError, mode: str = "") -> ScenarioError:
    """One of the errors in our words, if possible a field that there is not. what: the thing in `node`."""
    listed = errors.errors(include_url=False)
    error = next((error for error in listed if error["type"] == "extra_forbidden"), listed[0])
    kind, location = error["type"], list(error["loc"])
    name = location.pop() if kind in ("extra_forbidden", "missing") else None
    field = ""
    for key in location:  # a key, an index, or what pydantic's unions were told a thing is called
        if (below := node.at(key)) is not None:
            node, field = below, key if isinstance(key, str) else field
            if field in ("random", "camera"):
                what = field if field == "random" else f"the camera of mode {mode}"
        elif isinstance(key, str):
            what = key
    if kind == "value_error":
        return source.error(node, str(error.get("ctx", {}).get("error")))
    names = MODES[mode].axes if mode and what.startswith("the camera") else FIELDS.get(what, ())
    if kind == "missing":
        return source.error(node, f'{what} needs "{name}"; add it')
    if kind == "extra_forbidden":
        return source.error(node.key(str(name)), _unknown(str(name), what, names, mode))
    if kind.startswith(("model", "dict")):
        return source.error(node, f"{what} is written with fields: {', '.join(names)}")
    return source.error(node, _problem(node, field, kind, error.get("ctx", {}), mode))


def _unknown(name: str, what: str, names: Any, mode: str) -> str:
    if name == "camera" and mode and not MODES[mode].axes:
        return f"mode {mode} has no camera; leave it out"
    if what == grammar.MARK and name in FIELDS[grammar.STEP]:
        return f"a mark stands by itself; write {quoted(name)} in a step after it"
    return f"unknown field {quoted(name)} for {what}{meant(name, names)}; use {either(names)}"


def _problem(node: Node, field: str, kind: str, context: dict, mode: str) -> str:
    if field == "hold" and kind == "too_long":
        if MODES[mode].one_hot:
            return f"mode {mode} does one thing at a time; hold one control only"
        return f"mode {mode} has {context['max_length']} controls; hold each only once"
    if field in ("", "actions", "mirror"):
        return LIST.format(field or "actions")
    if node.parts is not None:
        return f"{'a held control' if field == 'hold' else field} must be a single value"
    if field == "for":
        return f"{quoted(node.text)} is not a time; {TIMES}"
    if field in ("pitch", "yaw"):
        return f"{quoted(node.text)} is not a number from -1 to 1; a held key is worth 0.1"
    if field == "hold":
        labels = ", ".join(control.label for control in MODES[mode].controls)
        return f"unknown control {quoted(node.text)} for mode {mode}; use one of {labels}"
    return PROBLEMS.get(field, f"{field} must be a single value")
