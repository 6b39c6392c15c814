"""The part of the Compare tab where a visitor chooses rows and columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import gradio as gr
from gradio.components import Component

from mgdemo.ui.compare.choice import OPTIMIZATIONS, PLAIN, Choice
from mgdemo.ui.compare.planner import image_choices, scenario_choices
from mgdemo.ui.compare.presets import PRESETS
from mgdemo.ui.compare.words import counterparts
from mgdemo.ui.files import PICTURES, REPLAYS, file_button
from mgdemo.ui.library import Library

SCENARIOS = (".yaml", ".yml", ".json")  # a film is sent as its tags, in a .json


class CompareForm:
    """The controls, laid out in the Gradio context in which this is made.

    `inputs` are what `choice` takes, `outputs` what `put` gives.
    """

    def __init__(self, library: Library, first: Choice):
        self.library = library
        self.preset = gr.Radio(
            [(preset.title, preset.name) for preset in PRESETS],
            value=PRESETS[0].name,
            label="Preset",
            elem_classes="modes presets",
        )
        with (
            gr.Accordion("What to compare", open=True, elem_classes="choosing") as self.box,
            gr.Row(elem_classes="halves even"),
        ):
            with gr.Column(min_width=300):
                self._rows(first)
            with gr.Column(min_width=300):
                self._columns(first)
        with gr.Accordion("What corresponds between modes", open=False, elem_classes="choosing"):
            gr.HTML(counterparts(), apply_default_css=False)
        self.own = gr.State(dict(first.names))

    @property
    def lists(self) -> list[gr.Dropdown | gr.Textbox | gr.CheckboxGroup | gr.Radio]:
        """All that is chosen from, in the order of `choice`."""
        rows = [self.scenarios, self.images, self.seeds]
        return [*rows, self.checkpoints, self.optimizations, self.column_seeds, self.by]

    @property
    def inputs(self) -> list[Component]:
        return [self.own, *self.lists]

    @property
    def outputs(self) -> list[Component]:
        return [self.preset, *self.inputs]

    def _rows(self, first: Choice) -> None:
        self.scenarios = gr.Dropdown(
            scenario_choices(self.library, {}),
            value=list(first.scenarios),
            multiselect=True,
            label="Scenarios, a row each",
        )
        with gr.Row(elem_classes="tight"):
            self.file = file_button("Add your own scenario or film", REPLAYS)
            self.picture = file_button("Add your own picture", PICTURES)
        self.images = gr.Dropdown(
            image_choices(self.library, {}),
            value=list(first.images),
            multiselect=True,
            label="Start images, a row each (none: each scenario's own)",
        )
        self.seeds = gr.Textbox(
            first.seeds,
            label="Seeds, a row each (none: each scenario's own)",
            placeholder="such as 7, or 0..3",
            max_lines=1,
        )

    def _columns(self, first: Choice) -> None:
        self.checkpoints = gr.Dropdown(
            self._checkpoints(),
            value=list(first.checkpoints),
            multiselect=True,
            label="Checkpoints, a column each; the first one is the baseline",
        )
        self.optimizations = gr.CheckboxGroup(
            [(title, name) for name, title in OPTIMIZATIONS.items()],
            value=list(first.optimizations),
            label="Optimizations, a column each",
        )
        self.column_seeds = gr.Textbox(
            first.column_seeds,
            label="Seeds, a column each (none: those of the rows)",
            placeholder="such as 0..3",
            max_lines=1,
        )
        self.by = gr.Radio(
            [("Meaning", "meaning"), ("Key", "key")],
            value=first.by,
            label="Between modes, actions are translated by",
            elem_classes="modes",
        )

    def choice(self, own, scenarios, images, seeds, checkpoints, optimizations, column_seeds, by) -> Choice:
        """What the values of `inputs` ask for."""
        used = {*(scenarios or ()), *(images or ())}
        return Choice(
            tuple(scenarios or ()),
            tuple(images or ()),
            seeds or "",
            tuple(checkpoints or ()),
            tuple(optimizations or (PLAIN,)),
            column_seeds or "",
            by,
            {path: name for path, name in (own or {}).items() if path in used},
        )

    def put(self, choice: Choice, own: Mapping[str, str], preset: str | None = None) -> tuple:
        """Updates for `outputs`. own: files of the visitor's to offer, beside those of the choice."""
        own = {**own, **choice.names}
        scenarios = scenario_choices(self.library, {path: own[path] for path in own if is_scenario(path)})
        images = image_choices(self.library, {path: own[path] for path in own if not is_scenario(path)})
        return (
            gr.Radio(value=preset),
            own,
            gr.Dropdown(scenarios, value=_offered(choice.scenarios, scenarios)),
            gr.Dropdown(images, value=_offered(choice.images, images)),
            choice.seeds,
            gr.Dropdown(value=_offered(choice.checkpoints, self._checkpoints())),
            [name for name in choice.optimizations if name in OPTIMIZATIONS] or [PLAIN],
            choice.column_seeds,
            choice.by,
        )

    def _checkpoints(self) -> list[tuple[str, str]]:
        return [
            (entry.title + ("" if entry.available else " (not downloaded)"), entry.name)
            for entry in self.library.catalog()
        ]


def is_scenario(path: str) -> bool:
    """Whether a visitor's file is a scenario or a film; else it is a picture."""
    return Path(path).suffix.lower() in SCENARIOS


def _offered(names: tuple[str, ...], choices: list[tuple[str, str]]) -> list[str]:
    """Those of the names that can be chosen here."""
    known = {name for _, name in choices}
    return [name for name in names if name in known]
