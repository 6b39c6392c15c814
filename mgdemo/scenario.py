"""Scenarios: scripted plays as YAML that people write, read and share.

    title: Left at the crossing
    mode: gta_drive
    actions:
      - {hold: [W], for: 2s}
      - {hold: [W], camera: {yaw: -0.05}, for: 18 frames}
      - repeat: 3
        actions:
          - {hold: [W, D], for: 0.5s}
          - {for: 0.5s}
      - random: {for: 4 blocks, seed: 42}

Steps follow one another, the first beginning at video frame 0, the start frame. A second is 25 video frames.
A block is 12 frames, the very first one 9, so steps of whole blocks stay on the blocks of the model. Times
add up exactly: two steps of 0.5s are 25 frames, 13 and 12.
"""

from __future__ import annotations

import logging
import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import yaml

from mgdemo.actions import MODES, ActionTrack, Mode
from mgdemo.blocks import BLOCK_FRAMES, FPS, frames_in_blocks
from mgdemo.errors import UserError
from mgdemo.paths import SCENARIOS
from mgdemo.random_actions import random_actions

MAX_BYTES = 256 * 1024
MAX_DEPTH = 20
MAX_MINUTES = 10
MAX_FRAMES = MAX_MINUTES * 60 * FPS
MAX_SEED = 2**32 - 1
MAX_LENGTH = {"title": 120, "description": 2000, "image": 120}

# Both patterns are also part of the JSON Schema, so they keep to what Python and ECMAScript share.
TIME = r"([0-9]{1,6}(?:\.[0-9]{1,6})?) ?(s)|([0-9]{1,6}) ?(frames?|blocks?)"
IMAGE = (
    r"(?:embedded:)?[^./\\:\x00-\x1f][^/\\:\x00-\x1f]*"  # no folders: a stranger's file names no other file
)


class ScenarioError(UserError):
    """A scenario that cannot be used; the message names the file, the line and the cure."""


@dataclass(frozen=True)
class Scenario:
    """A track with its words. `image` is a file name beside `path`, "embedded:<name>", or None."""

    title: str
    description: str
    mode: str
    image: str | None
    seed: int | None
    track: ActionTrack
    path: Path | None = None


def load_scenario(path: str | Path) -> Scenario:
    """Read a scenario file. Raises ScenarioError."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ScenarioError(f"{path.name} cannot be read ({error.strerror}); check the path.") from error
    return _Parser(path.name).scenario(text, path)


def parse_scenario(text: str | bytes, name: str = "scenario") -> Scenario:
    """Compile YAML text; `name` stands for the file in error messages. Raises ScenarioError."""
    return _Parser(name).scenario(text)


def library(folder: Path = SCENARIOS) -> dict[str, list[Scenario]]:
    """The scenarios `folder`/<mode>/*.yaml by mode, in order of file names; broken ones are logged only."""
    found: dict[str, list[Scenario]] = {mode: [] for mode in MODES}
    for path in sorted(folder.glob("*/*.yaml")):
        try:
            scenario = load_scenario(path)
        except ScenarioError as error:
            logging.getLogger(__name__).warning("Left out of the library: %s", error)
        else:
            found[scenario.mode].append(scenario)
    return found


class _Refused(yaml.MarkedYAMLError):
    pass


class _Loader(yaml.SafeLoader):
    """Composes nodes (never objects), refusing what makes a small file expensive."""

    depth = 0

    def compose_node(self, parent, index):
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(
                problem="aliases are not supported; write the step again, or use repeat",
                problem_mark=event.start_mark,
            )
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Refused(
                problem="this is nested too deeply; use fewer repeats inside each other",
                problem_mark=event.start_mark,
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


@dataclass
class _Parser:
    """One walk over the nodes of one file, collecting the pieces of its track."""

    name: str
    mode: Mode = MODES["universal"]
    time: Fraction = Fraction(0)  # where the next step begins, in video frames
    pieces: list[ActionTrack] = field(default_factory=list)

    def scenario(self, text: str | bytes, path: Path | None = None) -> Scenario:
        root = self.compose(text)
        fields = self.fields(
            root, "a scenario", ("title", "mode", "actions"), ("description", "image", "seed")
        )
        mode = self.scalar(fields["mode"], "mode")
        if mode not in MODES:
            raise self.error(fields["mode"], f"unknown mode {_quoted(mode)}; use {_either(MODES)}")
        self.mode = MODES[mode]
        self.steps(fields["actions"])
        return Scenario(
            title=self.text(fields, "title"),
            description=self.text(fields, "description"),
            mode=mode,
            image=self.image(fields),
            seed=self.integer(fields["seed"], "seed", 0, MAX_SEED) if "seed" in fields else None,
            track=ActionTrack.concat(self.pieces),
            path=path,
        )

    def compose(self, text: str | bytes) -> yaml.Node:
        try:
            if isinstance(text, str):
                text = text.encode()
            if len(text) > MAX_BYTES:
                raise ScenarioError(
                    f"{self.name} is larger than {MAX_BYTES // 1024} KB; cut it into several scenarios."
                )
            root = _Loader(text.decode("utf-8-sig")).get_single_node()
        except UnicodeError:
            raise ScenarioError(f"{self.name} is not UTF-8 text; save it as UTF-8.") from None
        except _Refused as error:
            raise self.error(error.problem_mark, error.problem) from None
        except yaml.MarkedYAMLError as error:
            problem = ", ".join(part for part in (error.context, error.problem) if part)
            cure = 'check indentation and brackets, and quote texts that contain ":" or "#"'
            raise self.error(error.problem_mark, f"this is not YAML ({problem[:200]}); {cure}") from None
        except (yaml.YAMLError, OverflowError, ValueError):
            # Control characters, and escapes such as "\UFFFFFFFF" that PyYAML lets Python refuse.
            raise ScenarioError(
                f"{self.name} contains a character that YAML does not allow; save it as plain text."
            ) from None
        if root is None:
            raise ScenarioError(f"{self.name} is empty; write title, mode and actions.")
        return root

    def steps(self, node: yaml.Node) -> None:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            raise self.error(node, 'actions must be a list of steps, such as "- {hold: [W], for: 2s}"')
        for step in node.value:
            keys = [key.value for key, _ in step.value] if isinstance(step, yaml.MappingNode) else []
            if "repeat" in keys:
                fields = self.fields(step, "a repeat", ("repeat", "actions"))
                for _ in range(self.integer(fields["repeat"], "repeat", 1, MAX_FRAMES)):
                    self.steps(fields["actions"])
            elif "random" in keys:
                fields = self.fields(
                    self.fields(step, "a step", ("random",))["random"], "random", ("for",), ("seed",)
                )
                seed = self.integer(fields["seed"], "seed", 0, MAX_SEED) if "seed" in fields else 0
                self.pieces.append(random_actions(self.mode.name, self.duration(fields["for"]), seed))
            else:
                fields = self.fields(step, "a step", ("for",), ("hold", "camera"))
                held = self.held(fields["hold"]) if "hold" in fields else []
                camera = self.camera(fields["camera"]) if "camera" in fields else None
                frames = self.duration(fields["for"])
                self.pieces.append(ActionTrack.hold(self.mode.name, held, camera, frames))

    def held(self, node: yaml.Node) -> list[str]:
        keys = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for key in keys:
            if self.mode.control(self.scalar(key, "a held control")) is None:
                labels = ", ".join(control.label for control in self.mode.controls)
                raise self.error(
                    key,
                    f"unknown control {_quoted(key.value)} for mode {self.mode.name}; use one of {labels}",
                )
        if self.mode.one_hot and len(keys) > 1:
            raise self.error(
                keys[1], f"mode {self.mode.name} does one thing at a time; hold one control only"
            )
        return [key.value for key in keys]

    def camera(self, node: yaml.Node) -> tuple[float, float]:
        if not self.mode.axes:
            raise self.error(node, f"mode {self.mode.name} has no camera; leave it out")
        fields = self.fields(node, f"the camera of mode {self.mode.name}", (), self.mode.axes)
        return tuple(self.unit(fields[axis]) if axis in fields else 0.0 for axis in ("pitch", "yaw"))

    def unit(self, node: yaml.Node) -> float:
        try:
            value = float(self.scalar(node, "a camera axis"))
        except ValueError:
            value = math.nan
        if not -1 <= value <= 1:
            raise self.error(
                node, f"{_quoted(node.value)} is not a number from -1 to 1; a held key is worth 0.1"
            )
        return value

    def duration(self, node: yaml.Node) -> int:
        """Let a step of the written length pass; its number of video frames."""
        written = self.scalar(node, "for")
        match = re.fullmatch(TIME, written)
        if not match:
            raise self.error(
                node, f"{_quoted(written)} is not a time; write it like 2s, 18 frames or 4 blocks"
            )
        seconds, _, count, unit = match.groups()
        if seconds:
            frames = Fraction(seconds) * FPS
        elif unit.startswith("frame"):
            frames = Fraction(count)
        else:
            frames = Fraction(BLOCK_FRAMES * int(count) if self.time else frames_in_blocks(int(count)))
        if frames < 1:
            raise self.error(
                node, f"{_quoted(written)} is shorter than one video frame; write at least 0.04s"
            )
        start, self.time = self.time, self.time + frames
        if self.time > MAX_FRAMES:
            raise self.error(node, f"here the scenario gets longer than {MAX_MINUTES} minutes; shorten it")
        return math.floor(self.time + Fraction(1, 2)) - math.floor(start + Fraction(1, 2))

    def text(self, fields: dict[str, yaml.Node], name: str) -> str:
        if name not in fields:
            return ""
        text = _printable(self.scalar(fields[name], name))
        if not text or len(text) > MAX_LENGTH[name]:
            raise self.error(fields[name], f"{name} must have 1 to {MAX_LENGTH[name]} characters")
        return text

    def image(self, fields: dict[str, yaml.Node]) -> str | None:
        image = self.text(fields, "image")
        if image and not re.fullmatch(IMAGE, image):
            raise self.error(
                fields["image"], "image must be the name of a file beside the scenario, or embedded:<name>"
            )
        return image or None

    def integer(self, node: yaml.Node, name: str, low: int, high: int) -> int:
        written = self.scalar(node, name)
        if not re.fullmatch("[0-9]{1,12}", written) or not low <= int(written) <= high:
            raise self.error(node, f"{name} must be a whole number from {low} to {high}")
        return int(written)

    def scalar(self, node: yaml.Node, name: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, f"{name} must be a single value")
        return node.value

    def fields(
        self, node: yaml.Node, what: str, required: tuple[str, ...], optional: tuple[str, ...] = ()
    ) -> dict[str, yaml.Node]:
        names = required + optional
        if not isinstance(node, yaml.MappingNode):
            raise self.error(node, f"{what} is written with fields: {', '.join(names)}")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            if key.value not in names:
                name = _quoted(key.value) if isinstance(key, yaml.ScalarNode) else ""
                raise self.error(key, f"unknown field {name}".rstrip() + f" for {what}; use {_either(names)}")
            if key.value in fields:
                raise self.error(key, f'"{key.value}" is given twice; keep one')
            fields[key.value] = value
        for name in required:
            if name not in fields:
                raise self.error(node, f'{what} needs "{name}"; add it')
        return fields

    def error(self, at: yaml.Node | yaml.Mark, problem: str) -> ScenarioError:
        mark = at.start_mark if isinstance(at, yaml.Node) else at
        return ScenarioError(f"{self.name}, line {mark.line + 1}, column {mark.column + 1}: {problem}.")


def _either(words) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def _quoted(text: str) -> str:
    text = _printable(text)
    return f'"{text if len(text) <= 40 else text[:40] + "…"}"'


def _printable(text: str) -> str:
    """One line without control characters and lone surrogates, which files and pages choke on."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "", " ".join(text.split()))


def scenario_yaml(
    track: ActionTrack,
    *,
    title: str,
    description: str = "",
    image: str | None = None,
    seed: int | None = None,
) -> str:
    """The scenario of a play, a step for each stretch of one action; compiled again, it is `track` exactly.

    Texts are shortened to what a scenario may have, so a recording never fails on them. Raises ValueError for
    an empty track, and for values that no controls and camera can make.
    """
    if not len(track):
        raise ValueError("A track without frames makes no scenario.")
    head = {
        "title": _printable(title)[: MAX_LENGTH["title"]] or "Untitled",
        "description": _printable(description)[: MAX_LENGTH["description"]],
        "mode": track.mode,
        "image": image,
        "seed": seed,
    }
    lines = ["actions:"]
    for start, stop in track.runs():
        mouse = None if track.mouse is None else track.mouse[start]
        action = _action(MODES[track.mode], track.keyboard[start], mouse)
        lines.append(f"  - {{{action}for: {_time(start, stop)}}}")
    head = {key: value for key, value in head.items() if value not in (None, "")}
    return yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=math.inf) + "\n".join(lines) + "\n"


def _action(mode: Mode, keyboard: np.ndarray, mouse: np.ndarray | None) -> str:
    held = [mode.control(name) for name in mode.held(keyboard, mouse)]
    camera = None
    if mouse is not None and not np.array_equal(mode.frame([c.name for c in held])[1], mouse):
        held = [control for control in held if control.mouse is None]
        camera = mouse
    made = mode.frame([control.name for control in held], camera)
    if not np.array_equal(made[0], keyboard) or (mouse is not None and not np.array_equal(made[1], mouse)):
        raise ValueError(f"No controls of mode {mode.name} make the values {keyboard} {mouse}.")
    text = f"hold: [{', '.join(control.label for control in held)}], " if held else ""
    if camera is not None:
        axes = {"pitch": camera[0], "yaw": camera[1]}
        # the shortest decimals that are read back as the same float32
        values = [f"{k}: {np.format_float_positional(v, trim='-')}" for k, v in axes.items() if v]
        text += f"camera: {{{', '.join(values)}}}, "
    return text


def _time(start: int, stop: int) -> str:
    frames = stop - start
    if frames % FPS == 0:
        return f"{frames // FPS}s"
    blocks, rest = divmod(frames if start else frames + 3, BLOCK_FRAMES)
    if rest == 0:
        return f"{blocks} block{'s' * (blocks > 1)}"
    return f"{frames} frame{'s' * (frames > 1)}"


def json_schema() -> dict:
    """JSON Schema (draft 7) of scenario files, for editors; published as scenarios/schema.json."""

    def object_of(required: dict, optional: dict | None = None) -> dict:
        return {
            "type": "object",
            "additionalProperties": False,
            "required": list(required),
            "properties": required | (optional or {}),
        }

    time = {
        "type": "string",
        "pattern": f"^(?:{TIME})$",
        "description": "A length of time, such as 2s, 18 frames or 4 blocks. A second is 25 frames.",
    }
    seed = {"type": "integer", "minimum": 0, "maximum": MAX_SEED}

    def steps(mode: Mode) -> dict:
        keys = [key for c in mode.controls for key in (c.label, c.name, c.code, *c.aliases)]
        hints = "; ".join(f"{control.label}: {control.hint.lower()}" for control in mode.controls)
        hold = {"description": f"Controls held together. {hints}.", "items": {"enum": keys}}
        hold |= {"type": "array"} | ({"maxItems": 1} if mode.one_hot else {})
        axis = {"type": "number", "minimum": -1, "maximum": 1}
        camera = object_of({}, dict.fromkeys(mode.axes, axis)) | {
            "description": "Analogue camera, per frame; a held key is worth 0.1, up and right are positive."
        }
        return {
            "type": "array",
            "minItems": 1,
            "items": {
                "anyOf": [
                    object_of({"for": time}, {"hold": hold} | ({"camera": camera} if mode.axes else {})),
                    object_of(
                        {
                            "repeat": {"type": "integer", "minimum": 1, "maximum": MAX_FRAMES},
                            "actions": {"$ref": f"#/definitions/{mode.name}"},
                        }
                    ),
                    object_of({"random": object_of({"for": time}, {"seed": seed})}),
                ]
            },
        }

    def text(name: str, **more) -> dict:
        return {"type": "string", "minLength": 1, "maxLength": MAX_LENGTH[name]} | more

    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "mgdemo scenario",
        **object_of(
            {"title": text("title"), "mode": {"enum": list(MODES)}, "actions": {"type": "array"}},
            {
                "description": text("description"),
                "image": text(
                    "image",
                    pattern=f"^(?:{IMAGE})$",
                    description="A file beside the scenario, or embedded:<name>.",
                ),
                "seed": seed,
            },
        ),
        "allOf": [
            {
                "if": {"properties": {"mode": {"const": name}}},
                "then": {"properties": {"actions": {"$ref": f"#/definitions/{name}"}}},
            }
            for name in MODES
        ],
        "definitions": {name: steps(mode) for name, mode in MODES.items()},
    }
