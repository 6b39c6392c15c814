"""YAML text as nodes that know their positions. Nothing is constructed from tags, and aliases are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mgdemo.scenario.grammar import MAX_BYTES, MAX_DEPTH, MAX_FRAMES, MOST_FRAMES, ScenarioError
from mgdemo.scenario.words import quoted

# PyYAML's C parser where it was built in: a hundred times faster, with the same events.
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
MAX_DIRECTIVES = 10  # lines beginning with %, which cost the parser the square of their number
INTEGER = re.compile(r"[-+]?[0-9]{1,20}|0x[0-9a-fA-F]{1,16}|0o[0-7]{1,20}")
# As many decimals as the smallest float32 is written with.
FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,60}|[0-9]{1,20}(?:\.[0-9]{0,60})?)(?:[eE][-+]?[0-9]{1,3})?")
TOO_DEEP = "this is nested too deeply; use fewer repeats inside each other"
CONSTANTS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}


@dataclass(slots=True)
class Node:
    """A value of a YAML file, and where it stands.

    `parts` are the nodes of a list, or the pairs of nodes of a mapping; `text` is a scalar as it is written.
    """

    line: int
    column: int
    parts: Any = None  # a list, or None for a scalar
    mapping: bool = False
    text: str = ""
    value: Any = None  # of a scalar, as YAML 1.2 understands it

    def at(self, key: Any) -> Node | None:
        """The node of a key, or at an index."""
        if self.mapping:
            return next((value for name, value in self.parts if name.text == key), None)
        return self.parts[key] if self.parts is not None and isinstance(key, int) else None

    def part(self, key: Any) -> Node:
        """The node of a key, or at an index, which is there."""
        node = self.at(key)
        if node is None:
            raise KeyError(key)
        return node

    def key(self, name: str) -> Node | None:
        """The node of a key itself."""
        return next((key for key, _ in self.parts if key.text == name), None) if self.mapping else None

    def plain(self) -> Any:
        """Dictionaries, lists, and the values of scalars."""
        if self.mapping:
            return {key.text: value.plain() for key, value in self.parts}
        return self.value if self.parts is None else [part.plain() for part in self.parts]


class Source:
    """A file's text; its errors say where they are. `folder` is where its author sees it lie, if anywhere."""

    def __init__(self, name: str, folder: Path | None = None):
        self.name, self.folder = name, folder

    def error(self, at: Any, problem: str) -> ScenarioError:
        """at: a Node, or a mark of PyYAML."""
        return ScenarioError(f"{self.name}, line {at.line + 1}, column {at.column + 1}: {problem}.")

    def nodes(self, text: str | bytes) -> Node:
        """The root of the only document. Raises ScenarioError."""
        events = self._events(self._decoded(text))
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                root = self._node(next(events), events, 0)
                for rest in events:
                    if isinstance(rest, yaml.DocumentStartEvent):
                        raise self.error(rest.start_mark, "a second document begins; keep one in a file")
                if root.value is None and root.parts is None and not root.text:
                    break
                return root
        raise ScenarioError(f"{self.name} is empty; write title, mode and actions.")

    def _decoded(self, text: str | bytes) -> str:
        try:
            data = text.encode() if isinstance(text, str) else text
            if len(data) > MAX_BYTES:
                limit = f"{MAX_BYTES // 1024} KB"
                raise ScenarioError(f"{self.name} is larger than {limit}; cut it into several scenarios.")
            text = data.decode("utf-8-sig")
        except UnicodeError:
            raise ScenarioError(f"{self.name} is not UTF-8 text; save it as UTF-8.") from None
        if len(re.findall("^%", text, re.MULTILINE)) > MAX_DIRECTIVES:
            raise ScenarioError(f"{self.name} has too many lines that begin with %; leave them out.")
        return text

    def _events(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=LOADER)
        except yaml.MarkedYAMLError as error:
            problem = ", ".join(part for part in (error.context, error.problem) if part)
            cure = 'check indentation and brackets, and quote texts that contain ":" or "#"'
            mark = error.problem_mark or error.context_mark
            if "nesting depth" in problem:
                raise self.error(mark, TOO_DEEP) from None
            raise self.error(mark, f"this is not YAML ({problem[:200]}); {cure}") from None
        except (yaml.YAMLError, OverflowError, ValueError):
            # Control characters, and escapes such as "\UFFFFFFFF" that the Python parser lets Python refuse.
            raise ScenarioError(
                f"{self.name} contains a character that YAML does not allow; save it as plain text."
            ) from None

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> Node:
        mark = event.start_mark
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0] and event.style in (None, "")
            text = event.value
            return Node(mark.line, mark.column, text=text, value=_resolved(text) if plain else text)
        if isinstance(event, yaml.AliasEvent):
            raise self.error(mark, "aliases are not supported; write the step again, or use repeat")
        if depth == MAX_DEPTH:
            raise self.error(mark, TOO_DEEP)
        node = Node(mark.line, mark.column, parts=[], mapping=isinstance(event, yaml.MappingStartEvent))
        seen = set()
        while not isinstance(event := next(events), yaml.CollectionEndEvent):
            part = self._node(event, events, depth + 1)
            if node.mapping:
                if part.parts is not None:
                    raise self.error(part, "the name of a field must be a single word")
                if part.text in seen:
                    raise self.error(part, f"{quoted(part.text)} is given twice; keep one")
                seen.add(part.text)
                part = part, self._node(next(events), events, depth + 1)
            node.parts.append(part)
            if len(node.parts) > MOST_FRAMES:
                raise self.error(node, f"this list is too long; a scenario has at most {MAX_FRAMES} frames")
        return node


def _resolved(text: str) -> Any:
    """What a scalar without quotes is by the core schema of YAML 1.2."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    if INTEGER.fullmatch(text):
        base = {"0x": 16, "0o": 8}.get(text[:2], 10)
        return int(text[2:] if base != 10 else text, base)
    return float(text) if FLOAT.fullmatch(text) else text
