"""From the steps of a scenario to its track: exact times, and a repeat's body looked at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mgdemo.actions import ActionTrack, Mode
from mgdemo.blocks import BLOCK_FRAMES, FIRST_BLOCK_FRAMES
from mgdemo.random_actions import choices, random_choices
from mgdemo.scenario.grammar import MAX_FRAMES, MAX_MINUTES, RandomStep, RepeatStep, quoted
from mgdemo.scenario.nodes import Node, Source
from mgdemo.scenario.times import UNIT, Duration

AXES = "pitch", "yaw"
TOO_LONG = f"here the scenario gets longer than {MAX_MINUTES} minutes; shorten it"


@dataclass
class _Body:
    """Steps in a row: what each does, how long it takes in UNITs, and all together.

    An action is a row of `Compiler.rows`, or, below 0, ~i for the random actions of seed i.
    """

    actions: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    total: int = 0


class Compiler:
    """Makes the track of one file of one mode. Raises ScenarioError."""

    def __init__(self, source: Source, mode: Mode):
        self.source, self.mode = source, mode
        self.rows: dict[tuple, int] = {}  # held controls and camera
        self.seeds: dict[int, int] = {}

    def track(self, steps: list[Any], node: Node) -> ActionTrack:
        """The track of validated steps, which stand in `node`."""
        body = self._body(steps, node, self._early(steps))
        lengths = np.array(body.lengths, np.int64)
        lengths[0] -= self._early(steps)
        edges = (np.cumsum(lengths) + UNIT // 2) // UNIT
        return self._filled(np.array(body.actions), np.diff(edges, prepend=0))

    @staticmethod
    def _early(steps: list[Any]) -> int:
        """How much the first step is shorter for being the first: the first block has fewer frames."""
        first = steps[0]
        while isinstance(first, RepeatStep):
            first = first.actions[0]
        time: Any = first.random.time if isinstance(first, RandomStep) else first.time
        return (BLOCK_FRAMES - FIRST_BLOCK_FRAMES) * UNIT * time.blocks

    def _body(self, steps: list[Any], node: Node, early: int) -> _Body:
        body = _Body()
        for step, at in zip(steps, node.parts, strict=True):
            if isinstance(step, RepeatStep):
                inner = self._body(step.actions, at.part("actions"), early)
                body.total += inner.total * step.repeat
                place = at.part("repeat")
            elif isinstance(step, RandomStep):
                walk: Any = step.random
                place = at.part("random").part("for")
                inner = self._step(~self.seeds.setdefault(walk.seed or 0, len(self.seeds)), walk.time, place)
                body.total += inner.total
            else:
                place = at.part("for")
                inner = self._step(self._row(step, at), step.time, place)
                body.total += inner.total
            if body.total - early > MAX_FRAMES * UNIT:
                raise self.source.error(place, TOO_LONG)
            repeats = step.repeat if isinstance(step, RepeatStep) else 1
            body.actions += inner.actions * repeats
            body.lengths += inner.lengths * repeats
        return body

    def _step(self, action: int, time: Duration, place: Node) -> _Body:
        if time.units < UNIT:
            text = quoted(place.text)
            raise self.source.error(place, f"{text} is shorter than one video frame; write at least 0.04s")
        return _Body([action], [time.units], time.units)

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
