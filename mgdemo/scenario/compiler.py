"""From the steps of a scenario to its track: exact times, and a repeat's body looked at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mgdemo.actions import ActionTrack, Mode
from mgdemo.blocks import BLOCK_FRAMES, FIRST_BLOCK_FRAMES
from mgdemo.random_actions import random_actions
from mgdemo.scenario.grammar import MAX_FRAMES, MAX_MINUTES, quoted
from mgdemo.scenario.nodes import Node, Source
from mgdemo.scenario.times import UNIT, Duration

TOO_LONG = f"here the scenario gets longer than {MAX_MINUTES} minutes; shorten it"


@dataclass
class _Body:
    """Steps in a row: what each does, how long it takes in UNITs, and all together.

    An action is a row of `Compiler.rows`, or, below 0, ~i for the walk of random seed i.
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
        while hasattr(first, "repeat"):
            first = first.actions[0]
        time = first.random.time if hasattr(first, "random") else first.time
        return (BLOCK_FRAMES - FIRST_BLOCK_FRAMES) * UNIT * time.blocks

    def _body(self, steps: list[Any], node: Node, early: int) -> _Body:
        body = _Body()
        for step, at in zip(steps, node.parts, strict=True):
            if hasattr(step, "repeat"):
                inner = self._body(step.actions, at.part("actions"), early)
                body.total += inner.total * step.repeat
                place = at.part("repeat")
            elif hasattr(step, "random"):
                seed = step.random.seed or 0
                place = at.part("random").part("for")
                inner = self._step(~self.seeds.setdefault(seed, len(self.seeds)), step.random.time, place)
                body.total += inner.total
            else:
                place = at.part("for")
                inner = self._step(self._row(step, at), step.time, place)
                body.total += inner.total
            if body.total - early > MAX_FRAMES * UNIT:
                raise self.source.error(place, TOO_LONG)
            repeats = getattr(step, "repeat", 1)
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
        camera = getattr(step, "camera", None)
        axes = camera and (getattr(camera, "pitch", 0.0), getattr(camera, "yaw", 0.0))
        return self.rows.setdefault((held, axes), len(self.rows))

    def _filled(self, actions: np.ndarray, counts: np.ndarray) -> ActionTrack:
        """The track of actions, each for a number of frames."""
        tables = [self.mode.frame(held, camera) for held, camera in self.rows]
        keyboards = [np.stack([keyboard for keyboard, _ in tables])] if tables else []
        moves = [mouse for _, mouse in tables if mouse is not None]
        mice = [np.stack(moves)] if moves else []
        starts, end = actions.copy(), len(tables)
        for seed, i in self.seeds.items():
            walk = random_actions(self.mode.name, int(counts[actions == ~i].max()), seed)
            keyboards.append(walk.keyboard)
            if walk.mouse is not None:
                mice.append(walk.mouse)
            starts[actions == ~i] = end
            end += len(walk)
        first = np.cumsum(counts) - counts  # frames before each action
        within = np.arange(counts.sum()) - np.repeat(first, counts)  # frames since its beginning
        rows = np.repeat(starts, counts) + within * np.repeat(actions < 0, counts)
        mouse = np.concatenate(mice)[rows] if self.mode.has_mouse else None
        return ActionTrack(self.mode.name, np.concatenate(keyboards)[rows], mouse)
