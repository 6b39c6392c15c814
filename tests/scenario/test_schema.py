"""The published JSON Schema and the parser agree over documents that nobody thought of."""

import copy
import random
from collections import Counter
from functools import cache

import jsonschema
import pytest
import yaml

from mgdemo.actions import MODES
from mgdemo.scenario import ScenarioError, json_schema, parse_scenario

# What no schema can say: docs/scenarios.md lists it.
BEYOND = {
    "time in sum": "here the scenario gets longer than 10 minutes",
    "times in video frames": "is shorter than one video frame",
    "names of marks": "already; choose another name",
    "number of marks": "more than 100 marks",
    "number of mirrors": "more than 100 mirrors",
    "earlier marks": "before this one; check the name",
    "depth": "this is nested too deeply",
    "other files": "would be a file beside this one",
    "what ships": "ships for mode",
}
WORDS = [
    "W",
    "w",
    "forward",
    "KeyA",
    "look_left",
    "ArrowLeft",
    "S",
    "Z",
    "jump",
    "accelerate",
    "brake",
    "D",
    "Q",
]
TIMES = ["1s", "500ms", ".5 s", "18 frames", "1 block", "2 Blocks", "1.5 seconds", "0.1 min", "30ms", "1m"]
ODD = [
    None, True, False, 0, 1, 2, 2.0, 2.5, -1, 15001, 4294967296, 1e300, "", " ", "~", "null", "1", "x" * 121,
    [], {},
    ["W"], {"for": "1s"}, "2", "W", "1s", "a/b", "../x.yaml", "x.yaml", "Temple run", "谷", "a\tb",
    "\u2028", "é.YML",
    "embedded:x", "embedded:", "templerun", "0 frames", "1 fortnight",
]  # fmt: skip
KEYS = [
    "for", "hold", "camera", "repeat", "actions", "mirror", "mark", "returns_to", "include", "random", "seed",
    "title", "mode",
    "image", "description", "yaw", "pitch", "roll", "For", "other",
]  # fmt: skip


class Documents:
    """Documents that are right in most places."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)

    def one(self) -> dict:
        self.mode = self.random.choice([*MODES])
        document = {"title": self.random.choice(["T", 2024, "ein Tal — 谷"]), "mode": self.mode}
        for name, values in {
            "description": ["D", None],
            "image": ["a.png", "embedded:hill", None],
            "seed": [7, None],
        }.items():
            if self.random.random() < 0.3:
                document[name] = self.random.choice(values)
        return document | {"actions": self.steps(0)}

    def steps(self, depth: int) -> list:
        return [self.step(depth) for _ in range(self.random.randint(1, 4))]

    def step(self, depth: int) -> dict:
        kind = self.random.choice(["step"] * 6 + ["repeat", "mirror", "mark", "random", "include"])
        if kind in ("repeat", "mirror") and depth < 4:
            inner = self.steps(depth + 1)
            return (
                {"mirror": inner}
                if kind == "mirror"
                else {"repeat": self.random.choice([1, 2, 9]), "actions": inner}
            )
        if kind == "mark":
            mark = {"mark": self.random.choice(["a", "b", "corner", 3])}
            if self.random.random() < 0.2:
                mark["returns_to"] = self.random.choice(["a", "b", 3, None])
            return mark
        if kind == "random":
            return {"random": {"for": self.time(), "seed": self.random.choice([None, 3])}}
        if kind == "include" and self.random.random() < 0.2:
            return {"include": self.random.choice(["other.yaml", "embedded:nowhere"])}
        step = {"for": self.time()}
        if self.random.random() < 0.7:
            known = [control.label for control in MODES[self.mode].controls]
            words = self.random.choices([*known * 4, *WORDS], k=self.random.choice([1, 1, 1, 2]))
            step["hold"] = words if len(words) > 1 or self.random.random() < 0.5 else words[0]
        if self.random.random() < 0.2 and MODES[self.mode].axes:
            step["camera"] = {self.random.choice(MODES[self.mode].axes): self.random.choice([0, 0.5, -1])}
        return step

    def time(self) -> str:
        return self.random.choice(TIMES)

    def mutated(self, document: dict) -> dict:
        """With a change in a random place."""
        document = copy.deepcopy(document)
        places = []

        def walk(value) -> None:
            for key in value if isinstance(value, dict) else range(len(value)):
                places.append((value, key))
                if isinstance(value[key], dict | list):
                    walk(value[key])

        walk(document)
        for _ in range(self.random.choice([1, 1, 2])):
            value, key = self.random.choice(places)
            match self.random.randrange(5):
                case 0 if isinstance(value, dict):
                    value.pop(key, None)
                case 1 if isinstance(value, dict):
                    value[self.random.choice(KEYS)] = copy.deepcopy(self.random.choice(ODD))
                case 2 if isinstance(value, list):
                    value.append(copy.deepcopy(self.random.choice([*ODD, *value])))
                case 3 if isinstance(value, dict) and key in value:
                    value[key] = [value[key]]
                case _:
                    if isinstance(value, dict) or key < len(value):
                        value[key] = copy.deepcopy(self.random.choice(ODD))
        return document


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def verdict(document: dict) -> tuple[bool, str]:
    """Whether the schema accepts it, and why the parser does not."""
    text = yaml.safe_dump(document, allow_unicode=True)
    assert yaml.safe_load(text) == document
    try:
        parse_scenario(text)
    except ScenarioError as error:
        return validator().is_valid(document), str(error)
    return validator().is_valid(document), ""


@pytest.mark.parametrize("seed", range(4))
def test_the_schema_and_the_parser_agree(seed):
    """Whatever one accepts and the other refuses is in the list of what no schema can say."""
    documents, counts = Documents(seed), Counter()
    for _ in range(300):
        document = documents.one()
        for each in (document, documents.mutated(document)):
            valid, refusal = verdict(each)
            beyond = any(reason in refusal for reason in BEYOND.values())
            if not beyond:
                assert valid == (not refusal), (each, refusal)
            counts[valid, not refusal] += 1
    assert min(counts[True, True], counts[False, False]) > 100, counts


def nested(depth: int) -> dict:
    return {"mirror": [nested(depth - 1)]} if depth else {"for": "1 frame"}


@pytest.mark.parametrize(
    ("reason", "actions"),
    [
        ("time in sum", [{"for": "6m"}, {"for": "6m"}]),
        ("times in video frames", [{"for": "30ms"}]),
        ("names of marks", [{"mark": "a"}, {"mark": "A"}, {"for": "1s"}]),
        ("number of marks", [{"repeat": 101, "actions": [{"mark": "a"}, {"for": "1s"}]}]),
        ("number of mirrors", [{"repeat": 101, "actions": [{"mirror": [{"for": "1s"}]}]}]),
        ("earlier marks", [{"for": "1s"}, {"mark": "a", "returns_to": "b"}]),
        ("depth", [nested(10)]),
        ("other files", [{"include": "other.yaml"}]),
        ("what ships", [{"include": "embedded:nowhere"}]),
    ],
)
def test_what_no_schema_can_say(reason, actions):
    valid, refusal = verdict({"title": "T", "mode": "universal", "actions": actions})
    assert valid and BEYOND[reason] in refusal
