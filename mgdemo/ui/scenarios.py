"""The Scenarios tab: choose a scripted play, see its timeline, watch it while it is made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import gradio as gr

from mgdemo.actions import MODES
from mgdemo.blocks import FPS
from mgdemo.replay import FILMS, SCENARIOS, Replay, open_replay
from mgdemo.scenario import Scenario, ScenarioError
from mgdemo.serving import SessionRequest, SessionService
from mgdemo.ui import run, track_chart
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.form import FormError, SessionForm
from mgdemo.ui.library import Library
from mgdemo.ui.links import Links
from mgdemo.ui.player import player
from mgdemo.ui.results import Results

OWN = "own"  # the list's value for the uploaded scenario; the others are their numbers in the library


@dataclass(frozen=True)
class ScenarioTab:
    """What others need of the tab.

    `open` takes a Replay, and the seed, start image and own picture chosen before; it gives the updates of
    `outputs`.
    """

    form: SessionForm
    outputs: list[gr.components.Component]
    open: Callable[[Replay, float, str | None, str | None], tuple]


def scenarios_tab(service: SessionService, library: Library, links: Links) -> ScenarioTab:
    """Lays the tab out in the current Gradio context."""

    def titles(mode: str) -> list[tuple[str, str]]:
        return [(scenario.title, str(i)) for i, scenario in enumerate(library.scenarios()[mode])]

    mode = library.first().mode
    first = next(iter(library.scenarios()[mode]), None)
    name = gr.Dropdown(
        titles(mode), value="0" if first else None, label="Scenario", filterable=False, render=False
    )
    upload = gr.UploadButton("Use your own file", file_types=[*SCENARIOS, *FILMS], size="sm", render=False)
    with gr.Row(elem_classes="halves"):
        with gr.Column(scale=7, min_width=480):
            stage = gr.Column()
        with gr.Column(scale=3, min_width=300):
            results = Results(links)
            image = library.wanted(first) if first else None
            form = SessionForm(library, live=False, start="Run", image=image, after_mode=(name, upload))
    with stage:
        screen = player(form.first_setup, "scenarios")
        words = gr.HTML(_words(first), apply_default_css=False, elem_classes="scenario")
    form.connect(screen)
    chosen, own = gr.State(first), gr.State(None)
    shown = [chosen, words, form.image, form.own, form.seed]

    def show(scenario: Scenario | None, image: str | None, picture: str | None) -> tuple:
        """Updates for `shown`: the scenario, and what it brings along."""
        wanted = library.wanted(scenario) if scenario else None
        if wanted and not library.reference(wanted, library.best(scenario.mode)):
            picture = wanted  # to be offered beside those that ship
        seed = gr.skip() if scenario is None or scenario.seed is None else scenario.seed
        return scenario, _words(scenario), wanted or image, picture, seed

    def choose(name: str, mode: str, own: Scenario | None, *pictures: str | None) -> tuple:
        return show(own if name == OWN else library.scenarios()[mode][int(name)], *pictures)

    def choose_mode(mode: str, *pictures: str | None) -> tuple:
        first = next(iter(library.scenarios()[mode]), None)
        return gr.Dropdown(titles(mode), value="0" if first else None), *show(first, *pictures)

    def open_(replay: Replay, seed: float, image: str | None, picture: str | None) -> tuple:
        scenario = replay.scenario
        names = gr.Dropdown([*titles(scenario.mode), (f"{scenario.title} (yours)", OWN)], value=OWN)
        if replay.image is not None:
            image = picture = form.keep(replay.image)
        _, words, image, picture, _ = show(scenario, image, picture)
        seed = seed if scenario.seed is None else scenario.seed
        return (
            names,
            scenario,
            scenario,
            words,
            *form.put(scenario.mode, replay.checkpoint, seed, image, picture),
        )

    def choose_upload(path: str, chosen: Scenario | None, *before) -> tuple:
        try:
            return open_(open_replay(path), *before)
        except ScenarioError as error:
            words = _problem(str(error)) + (_words(chosen) if chosen else "")
            return *(gr.skip(),) * 3, words, *(gr.skip(),) * len(form.all)

    pictures = [form.image, form.own]
    by_name = name.input(choose, [name, form.mode, own, *pictures], shown, **EVENT_OPTIONS)
    by_mode = form.mode.input(choose_mode, [form.mode, *pictures], [name, *shown], **EVENT_OPTIONS)
    for event in (by_name, by_mode):
        form.follow(event.then)
    outputs = [name, own, chosen, words, *form.all]
    upload.upload(choose_upload, [upload, chosen, form.seed, *pictures], outputs, **EVENT_OPTIONS)

    def request(checkpoint: str, image: str, seed: float | None, scenario: Scenario | None) -> SessionRequest:
        if scenario is None:
            raise FormError("There is no scenario to run: use a file of your own.")
        return form.request(checkpoint, image, seed, scenario)

    inputs = [form.checkpoint, form.image, form.seed, chosen]
    links.offer(form.link, form.shared, inputs)
    run.connect(service, screen, results, request, inputs)
    return ScenarioTab(form, outputs, open_)


def _words(scenario: Scenario | None) -> str:
    if scenario is None:
        return _problem("No scenario ships for this mode yet; use a file of your own.")
    seconds = len(scenario.track) / FPS
    return (
        f"<h2>{escape(scenario.title)}</h2><p>{escape(scenario.description)}</p>"
        f"<p class=quiet>{MODES[scenario.mode].title}, {seconds:.1f} s, {len(scenario.track)} frames</p>"
        f"{track_chart.draw(scenario.track)}"
    )


def _problem(text: str) -> str:
    return f'<p class="problem" role="alert">{escape(text)}</p>'
