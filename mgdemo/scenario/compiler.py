"""From the steps of a scenario to its track: exact times, and a repeat's body looked at once."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from mgdemo.actions import ActionTrack, Mode
from mgdemo.blocks import BLOCK_FRAMES, FIRST_BLOCK_FRAMES
from mgdemo.random_actions import choices, random_choices
from mgdemo.scenario.body import Body, Written
from mgdemo.scenario.check import Checked, check
from mgdemo.scenario.grammar import (
    MAX_LENGTH,
    MAX_MARKS,
    MAX_MINUTES,
    MOST_FRAMES,
    IncludeStep,
    MarkStep,
    MirrorStep,
    RandomStep,
    RepeatStep,
)
from mgdemo.scenario.includes import MAX_CHAIN, IncludeError, Includes
from mgdemo.scenario.model import Mark
from mgdemo.scenario.nodes import Node, Source
from mgdemo.scenario.opposites import LEADS_BACK, opposite
from mgdemo.scenario.times import UNIT, Duration
from mgdemo.scenario.words import printable, quoted

AXES = "pitch", "yaw"
MAX_RETURNS = 100
TOO_LONG = f"here the scenario gets longer than {MAX_MINUTES} minutes; shorten it"
TOO_MANY_MARKS = f"here the scenario gets more than {MAX_MARKS} marks; leave some out"
TOO_MANY_RETURNS = f"here the scenario gets more than {MAX_RETURNS} mirrors; leave some out"


class Compiler:
    """Makes the track of one file and those that it includes. Raises ScenarioError."""

    def __init__(self, mode: Mode, checked: Checked, path: Path | None, size: int):
        """path: of the file, if it is one; size: its length in bytes."""
        self.mode, self.checked = mode, checked
        self.rows: dict[tuple, int] = {}  # held controls and camera
        self.seeds: dict[int, int] = {}
        self._includes = Includes(mode.name, size)
        self._chain = (
            [path.resolve()] if path else []
        )  # files that are being compiled, each including the next
        self._bodies: dict[Path, Body] = {}

    def compile(self) -> tuple[ActionTrack, tuple[Mark, ...], tuple[tuple[int, int], ...]]:
        """The track, its marks, and its pairs of frames with the same view."""
        body = self._body(self.checked.source, self.checked.steps, self.checked.actions)
        lengths = np.array(body.lengths, np.int64)
        lengths[0] -= body.early
        edges = np.concatenate([[0], (np.cumsum(lengths) + UNIT // 2) // UNIT])
        track = self._filled(np.array(body.actions), np.diff(edges))
        shown = np.minimum(edges, len(track) - 1).tolist()  # there is no frame after the last
        marks = _marks([(shown[at], mark) for at, mark in body.marks])
        places = {mark.name: mark.frame for mark in marks}
        returns = [(places[mark.returns_to], mark.frame) for mark in marks if mark.returns_to]
        if self.mode.name in LEADS_BACK:
            returns += [(shown[a], shown[b]) for a, b in body.returns]
        return track, marks, tuple(sorted(dict.fromkeys(returns)))

    def _body(self, source: Source, steps: list[Any], node: Node) -> Body:
        body = Body()
        for step, at in zip(steps, node.parts, strict=True):
            part, times, place = self._part(source, step, at)
            early = body.early if body.actions else part.early
            if body.total + part.total * times - early > MOST_FRAMES * UNIT:
                raise source.error(place, TOO_LONG)
            if len(body.marks) + len(part.marks) * times > MAX_MARKS:
                raise source.error(place, TOO_MANY_MARKS)
            if len(body.returns) + len(part.returns) * times > MAX_RETURNS:
                raise source.error(place, TOO_MANY_RETURNS)
            body.add(part, times)
        return body

    def _part(self, source: Source, step: Any, at: Node) -> tuple[Body, int, Node]:
        """What a step does, how many times, and where it says how long that takes."""
        match step:
            case RepeatStep():
                body = self._body(source, step.actions, at.part("actions"))
                return body, step.repeat, at.part("repeat")
            case MirrorStep():
                place = at.part("mirror")
                body = self._body(source, step.mirror, place)
                return body.there_and_back(lambda action: self._opposite(source, place, action)), 1, place
            case IncludeStep():
                place = at.part("include")
                return self._included(source, step.include, place), 1, place
            case MarkStep():
                place = at.part("mark")
                returns_to = at.at("returns_to") if step.returns_to else None
                return Body(marks=[(0, Written(source, place, returns_to))]), 1, place
            case RandomStep():
                walk: Any = step.random
                place = at.part("random").part("for")
                action = ~self.seeds.setdefault(walk.seed or 0, len(self.seeds))
                return self._step(source, action, walk.time, place), 1, place
            case _:
                place = at.part("for")
                return self._step(source, self._row(source, step, at), step.time, place), 1, place

    @staticmethod
    def _step(source: Source, action: int, time: Duration, place: Node) -> Body:
        if time.units < UNIT:
            text = quoted(place.text)
            raise source.error(place, f"{text} is shorter than one video frame; write at least 0.04s")
        early = (BLOCK_FRAMES - FIRST_BLOCK_FRAMES) * UNIT * time.blocks
        return Body([action], [time.units], time.units, early)

    def _row(self, source: Source, step: Any, at: Node) -> int:
        held = step.hold or ()
        held = (held,) if isinstance(held, str) else tuple(held)
        for i, name in enumerate(held):
            if name in held[:i]:
                key = at.part("hold").part(i)
                raise source.error(key, f"{quoted(key.text)} is held already; keep one of the two")
        camera = step.camera if self.mode.axes else None
        axes = camera and tuple(getattr(camera, axis) if axis in self.mode.axes else 0.0 for axis in AXES)
        return self.rows.setdefault((held, axes), len(self.rows))

    def _opposite(self, source: Source, place: Node, action: int) -> int:
        """Of an action. What the grammar has let pass can only come from an included file."""
        if action < 0:
            raise source.error(place, "what is included here has random actions, which cannot be mirrored")
        held, camera = list(self.rows)[action]
        try:
            row = opposite(self.mode.name, held, camera)
        except KeyError as error:
            name = error.args[0]
            raise source.error(place, f"what is included here holds {name}, which has no opposite") from None
        return self.rows.setdefault(row, len(self.rows))

    def _included(self, source: Source, name: str, place: Node) -> Body:
        try:
            path = self._includes.find(name, source.folder)
            if path in self._chain:
                names = " > ".join(file.name for file in (*self._chain[self._chain.index(path) :], path))
                raise IncludeError(f"a scenario cannot include itself ({names}); leave one of these out")
            if path in self._bodies:
                return self._bodies[path]
            if len(self._chain) > MAX_CHAIN:
                raise IncludeError(f"files include one another {MAX_CHAIN} deep at most; put some together")
            checked = check(Source(path.name, path.parent), self._includes.read(path))
            if checked.file.mode != self.mode.name:
                modes = f"{checked.file.mode}, not {self.mode.name}"
                raise IncludeError(f"{quoted(name)} is for mode {modes}; choose another file")
        except IncludeError as error:
            raise source.error(place, str(error)) from None
        self._chain.append(path)
        self._bodies[path] = self._body(checked.source, checked.steps, checked.actions)
        self._chain.pop()
        return self._bodies[path]

    def _filled(self, actions: np.ndarray, counts: np.ndarray) -> ActionTrack:
        """The track of actions, each for a number of frames."""
        walks, begins = self._walks(actions, counts)
        table = [self.mode.frame(held, camera) for held, camera in self.rows]
        first = np.cumsum(counts) - counts  # frames before each action
        within = np.arange(counts.sum()) - np.repeat(first, counts)  # frames since its beginning
        each = np.repeat(actions, counts)  # frame's action
        rows = np.where(each < 0, walks[np.where(each < 0, begins[~np.minimum(each, -1)] + within, 0)], each)
        keyboards, mice = np.stack([k for k, _ in table]), [m for _, m in table if m is not None]
        return ActionTrack(self.mode.name, keyboards[rows], np.stack(mice)[rows] if mice else None)

    def _walks(self, actions: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of all random walks one after the other, and where each begins."""
        longest = np.zeros(len(self.seeds), int)
        np.maximum.at(longest, ~actions[actions < 0], counts[actions < 0])
        if not len(longest):
            return np.zeros(1, int), np.zeros(1, int)
        held = [self.rows.setdefault((names, None), len(self.rows)) for names in choices(self.mode.name)]
        drawn = [random_choices(self.mode.name, n, seed) for seed, n in zip(self.seeds, longest, strict=True)]
        return np.array(held)[np.concatenate(drawn)], np.cumsum(longest) - longest


def _marks(written: list[tuple[int, Written]]) -> tuple[Mark, ...]:
    """Marks at frames; one that comes again, as in a repeat, has a number: corner, corner 2."""
    found: dict[str, Mark] = {}
    counts: Counter[str] = Counter()
    before: dict[str, Written] = {}
    latest: dict[str, str] = {}  # by the name that is written, and by the one that it got
    for frame, mark in written:
        name = printable(mark.node.text)
        key = name.casefold()
        counts[key] += 1
        twice = key in before and before[key].source is mark.source and before[key].node is not mark.node
        if (count := counts[key]) > 1 and not twice:
            name = f"{name[: MAX_LENGTH['mark'] - 1 - len(str(count))]} {count}"
        before[key], earlier = mark, None
        if mark.returns_to and not (earlier := latest.get(printable(mark.returns_to.text).casefold())):
            text = f"there is no mark {quoted(mark.returns_to.text)} before this one; check the name"
            raise mark.source.error(mark.returns_to, text)
        if name.casefold() in found:
            text = f"there is a mark {quoted(name)} already; choose another name"
            raise mark.source.error(mark.node, text)
        found[name.casefold()] = Mark(name, frame, earlier)
        latest[key] = latest[name.casefold()] = name
    return tuple(found.values())
