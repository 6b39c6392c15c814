"""From the steps of a scenario to its track: exact times, and a repeat's body looked at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from mgdemo.actions import ActionTrack, Mode
from mgdemo.blocks import BLOCK_FRAMES, FIRST_BLOCK_FRAMES
from mgdemo.random_actions import choices, random_choices
from mgdemo.scenario.body import Body
from mgdemo.scenario.grammar import (
    MAX_FRAMES,
    MAX_LENGTH,
    MAX_MARKS,
    MAX_MINUTES,
    MarkStep,
    RandomStep,
    RepeatStep,
    printable,
    quoted,
)
from mgdemo.scenario.model import Mark
from mgdemo.scenario.nodes import Node, Source
from mgdemo.scenario.times import UNIT, Duration

AXES = "pitch", "yaw"
TOO_LONG = f"here the scenario gets longer than {MAX_MINUTES} minutes; shorten it"
TOO_MANY_MARKS = f"here the scenario gets more than {MAX_MARKS} marks; leave some out"


class Compiler:
    """Makes the track of one file of one mode. Raises ScenarioError."""

    def __init__(self, source: Source, mode: Mode):
        self.source, self.mode = source, mode
        self.rows: dict[tuple, int] = {}  # held controls and camera
        self.seeds: dict[int, int] = {}

    def compile(self, steps: list[Any], node: Node) -> tuple[ActionTrack, tuple[Mark, ...]]:
        """The track and the marks of validated steps, which stand in `node`."""
        body = self._body(steps, node)
        lengths = np.array(body.lengths, np.int64)
        lengths[0] -= body.early
        edges = np.concatenate([[0], (np.cumsum(lengths) + UNIT // 2) // UNIT])
        track = self._filled(np.array(body.actions), np.diff(edges))
        return track, self._marks(body, [min(int(edges[at]), len(track) - 1) for at, _ in body.marks])

    def _body(self, steps: list[Any], node: Node) -> Body:
        body = Body()
        for step, at in zip(steps, node.parts, strict=True):
            times, place = 1, at
            if isinstance(step, MarkStep):
                place = at.part("mark")
                part = Body(marks=[(0, place)])
            elif isinstance(step, RepeatStep):
                part = self._body(step.actions, at.part("actions"))
                times, place = step.repeat, at.part("repeat")
            elif isinstance(step, RandomStep):
                walk: Any = step.random
                place = at.part("random").part("for")
                part = self._step(~self.seeds.setdefault(walk.seed or 0, len(self.seeds)), walk.time, place)
            else:
                place = at.part("for")
                part = self._step(self._row(step, at), step.time, place)
            early = body.early if body.actions else part.early
            if body.total + part.total * times - early > MAX_FRAMES * UNIT:
                raise self.source.error(place, TOO_LONG)
            if len(body.marks) + len(part.marks) * times > MAX_MARKS:
                raise self.source.error(place, TOO_MANY_MARKS)
            body.add(part, times)
        return body

    def _step(self, action: int, time: Duration, place: Node) -> Body:
        if time.units < UNIT:
            text = quoted(place.text)
            raise self.source.error(place, f"{text} is shorter than one video frame; write at least 0.04s")
        early = (BLOCK_FRAMES - FIRST_BLOCK_FRAMES) * UNIT * time.blocks
        return Body([action], [time.units], time.units, early)

    def _marks(self, body: Body, frames: list[int]) -> tuple[Mark, ...]:
        """Where the marks are; one that comes again, as in a repeat, has a number: corner, corner 2."""
        found: dict[str, Mark] = {}
        begun: dict[str, Node] = {}
        counts: Counter[str] = Counter()
        for (_, node), frame in zip(body.marks, frames, strict=True):
            name = printable(node.text)
            key = name.casefold()
            counts[key] += 1
            if (count := counts[key]) > 1 and begun[key] is node:
                name = f"{name[: MAX_LENGTH['mark'] - 1 - len(str(count))]} {count}"
            begun[key] = node
            if name.casefold() in found:
                raise self.source.error(node, f"there is a mark {quoted(name)} already; choose another name")
            found[name.casefold()] = Mark(name, frame)
        return tuple(found.values())

    def _row(self, step: Any, at: Node) -> int:
        held = step.hold or ()
        held = (held,) if isinstance(held, str) else tuple(held)
        for i, name in enumerate(held):
            if name in held[:i]:
                key = at.part("hold").part(i)
                raise self.source.error(key, f"{quoted(key.text)} is held already; keep one of the two")
        camera = step.camera if self.mode.axes else None
        axes = camera and tuple(getattr(camera, axis) if axis in self.mode.axes else 0.0 for axis in AXES)
        return self.rows.setdefault((held, axes), len(self.rows))

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
