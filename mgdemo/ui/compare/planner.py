"""Grids of what a visitor has chosen, and the lists to choose from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mgdemo import __version__
from mgdemo.actions import MODES
from mgdemo.compare.catalog import cases_of, seeds_of
from mgdemo.compare.device import Device
from mgdemo.compare.plan import Case, Grid, PlanError, Variant, check_size, grid
from mgdemo.errors import UserError
from mgdemo.picture import StartImage
from mgdemo.references import SHIPPED, ImageMissing, shipped_image, start_image
from mgdemo.replay import Replay
from mgdemo.scenario import Scenario
from mgdemo.ui.compare.choice import PLAIN, Choice
from mgdemo.ui.files import picture_at, replay_at, uploaded
from mgdemo.ui.library import Library
from mgdemo.ui.start_images import name_of


class ChoiceError(UserError):
    """A choice that cannot be compared; the message says what to change."""


@dataclass(frozen=True)
class Planner:
    """Makes grids of choices. most_frames: of all runs together, as `check_size` takes it."""

    library: Library
    device: Device
    most_frames: int | None = None

    def plan(self, choice: Choice) -> Grid:
        """Raises UserError with a sentence."""
        columns = self._columns(choice)
        rows = self._rows(choice, columns)
        return grid(rows, columns, version=__version__, device=self.device.kind, by=choice.by)

    def _rows(self, choice: Choice, columns: Sequence[Variant]) -> list[Case]:
        if not choice.scenarios:
            raise PlanError("Choose a scenario: each one is a row.")
        seeds, rows = _seeds(choice.seeds), []
        for name in dict.fromkeys(choice.scenarios):
            replay = self._replay(name, choice)
            mode = replay.scenario.mode
            if not self.library.of_mode(mode):
                raise ChoiceError(f"{replay.scenario.title} is for {mode}, which isn't available here.")
            shipped = self.library.start_images(self.library.best(mode))
            images = [self._image(image, choice) for image in dict.fromkeys(choice.images)]
            if not images and not shipped and replay.image is None:
                raise ChoiceError(f"{replay.scenario.title} has no start image: choose one.")
            try:
                rows += cases_of(replay, shipped, seeds=seeds, images=images)
            except ImageMissing as error:
                raise ChoiceError(f"{replay.scenario.title}: {error}") from None
            check_size(rows, columns, self.most_frames)
        return rows

    def _columns(self, choice: Choice) -> list[Variant]:
        if not choice.checkpoints:
            raise PlanError("Choose a checkpoint: each one is a column.")
        columns = []
        for name in dict.fromkeys(choice.checkpoints):
            for words in dict.fromkeys(choice.optimizations or (PLAIN,)):
                optimization = "" if words == PLAIN else words
                self.device.check(optimization)
                column = self.library.variant(self.library.entry(name).name, optimization)
                columns += _with_seeds(column, _seeds(choice.column_seeds))
        return list({(c.checkpoint, c.optimization, c.seed): c for c in columns}.values())

    def _replay(self, name: str, choice: Choice) -> Replay:
        if name in choice.names:
            path = uploaded(name)
            if path is None:
                raise ChoiceError(f"{choice.names[name]} isn't on the server any more: add it again.")
            return replay_at(path, choice.names[name])
        mode = name.partition("/")[0]
        for scenario in self.library.scenarios().get(mode, []):
            if key_of(scenario) == name:
                return Replay(scenario)
        raise ChoiceError(f"There is no scenario called {name[:80]} here: choose another.")

    def _image(self, name: str, choice: Choice) -> StartImage:
        if name in choice.names:
            path = picture_at(name)
            if path is None:
                raise ChoiceError(f"{choice.names[name]} isn't on the server any more: add it again.")
            return _picture(str(path), path.stat().st_mtime_ns, (), choice.names[name])
        mode, _, stem = name.partition(":")
        shipped = self.library.start_images(self.library.best(mode)) if self.library.of_mode(mode) else []
        if path := shipped_image(SHIPPED + stem, shipped):
            return _picture(str(path), path.stat().st_mtime_ns, tuple(shipped), "")
        raise ChoiceError(f"There is no start image called {name[:80]} here: choose another.")


@lru_cache(32)
def _picture(path: str, _changed: int, shipped: tuple[Path, ...], name: str) -> StartImage:
    return start_image(path, shipped, name)


def _seeds(text: str) -> list[int]:
    return seeds_of(text.replace(",", " ").split())


def _with_seeds(column: Variant, seeds: Sequence[int]) -> list[Variant]:
    title = column.title or column.checkpoint
    return [dataclasses.replace(column, seed=seed, title=f"{title}, seed {seed}") for seed in seeds] or [
        column
    ]


def key_of(scenario: Scenario) -> str:
    """How a choice names a scenario that ships."""
    return f"{scenario.mode}/{scenario.path.stem if scenario.path else scenario.title}"


def scenario_choices(library: Library, own: Mapping[str, str]) -> list[tuple[str, str]]:
    """Titles and keys for a list; own: files of the visitor by their paths."""
    found = [
        (f"{scenario.title} ({MODES[mode].title})", key_of(scenario))
        for mode, scenarios in library.scenarios().items()
        for scenario in scenarios
        if library.of_mode(mode)
    ]
    return found + [(f"{name} (yours)", path) for path, name in own.items()]


def image_choices(library: Library, own: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and keys for a list, as `scenario_choices`."""
    found = []
    for mode in MODES.values():
        if library.of_mode(mode.name):
            for path in library.start_images(library.best(mode.name)):
                found.append((f"{name_of(str(path))} ({mode.title})", f"{mode.name}:{path.stem}"))
    return found + [(f"{name} (yours)", path) for path, name in own.items()]
