"""The Scenarios tab: choose a scripted session, see its timeline, watch it while it is generated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import gradio as gr
from gradio.components import Component

from mgdemo.actions import MODES
from mgdemo.blocks import FPS
from mgdemo.errors import UserError
from mgdemo.picture import open_picture
from mgdemo.replay import Replay
from mgdemo.scenario import Scenario
from mgdemo.serving import SessionRequest, SessionService
from mgdemo.ui import sessions_ui, track_chart
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.files import REPLAYS, file_button, name_of, sent, sent_replay
from mgdemo.ui.form import FormError, SessionForm, say_replaced
from mgdemo.ui.library import Library, missing
from mgdemo.ui.links import Links
from mgdemo.ui.player import player, track_key
from mgdemo.ui.results import Results

OWN = "own"  # the list's value for the uploaded scenario; the others are their numbers in the library


@dataclass(frozen=True)
class ScenarioTab:
    """What others need of the tab.

    The functions give the updates of `outputs`, or raise UserError: `open` of a Replay, `open_file` of what
    the page says of a file that it has sent, `restore` of the key of a listed scenario's track, and of
    checkpoint, seed, start image and own picture.
    """

    form: SessionForm
    outputs: list[Component]
    open: Callable[[Replay], tuple]
    open_file: Callable[[dict], tuple]
    restore: Callable[..., tuple]


def scenarios_tab(service: SessionService, library: Library, links: Links) -> ScenarioTab:
    """Lays the tab out in the current Gradio context."""

    def titles(mode: str) -> list[tuple[str, str]]:
        return [(scenario.title, str(i)) for i, scenario in enumerate(library.scenarios()[mode])]

    mode = library.first().mode
    first = next(iter(library.scenarios()[mode]), None)
    name = gr.Dropdown(
        titles(mode), value="0" if first else None, label="Scenario", filterable=False, render=False
    )
    upload = file_button("Use your own file", REPLAYS, render=False)
    with gr.Row(elem_classes="halves"):
        with gr.Column(scale=7, min_width=480):
            stage = gr.Column()
        with gr.Column(scale=3, min_width=300):
            results = Results(links)
            image = library.start_image(first) if first else None
            form = SessionForm(library, live=False, start="Run", image=image, after_mode=(name, upload))
    with stage:
        screen = player(form.first_setup, "scenarios", "Scenarios")
        words = gr.HTML(_words(first), apply_default_css=False, elem_classes="scenario chosen")
        running = gr.HTML("", apply_default_css=False, elem_classes="scenario running")
    form.connect(screen)
    chosen, own = gr.State(first), gr.State(None)  # own: the visitor's scenario and its picture's path
    shown = [chosen, words, form.image, form.own, form.seed]

    def show(scenario: Scenario | None, image: str | None = None, own_picture: str | None = None) -> tuple:
        """Updates for `shown`. Seed and start image that the scenario does not name are those of a new page.

        image: the path of its start image, if known; own_picture: what is offered beside the built-in ones.
        """
        if scenario is None:
            return None, _words(None), None, own_picture, gr.skip()
        best = library.best(scenario.mode)
        image = image or library.start_image(scenario) or next(map(str, library.start_images(best)), None)
        if image and not missing(image) and not library.reference(image, best):
            own_picture = image
        return scenario, _words(scenario), image, own_picture, scenario.seed or 0

    def choose(name: str, mode: str, own: tuple[Scenario, str | None], own_picture: str | None) -> tuple:
        if name == OWN:
            return show(*own, own_picture)
        return show(library.scenarios()[mode][int(name)], None, own_picture)

    def choose_mode(mode: str, own_picture: str | None) -> tuple:
        first = next(iter(library.scenarios()[mode]), None)
        names = gr.Dropdown(titles(mode), value="0" if first else None)
        return names, *show(first, None, own_picture)

    def open_(replay: Replay, image: str | None = None) -> tuple:
        scenario = replay.scenario
        if not library.of_mode(scenario.mode):
            raise FormError(
                f"{scenario.title} is for {MODES[scenario.mode].title}, which isn't available here."
            )
        say_replaced(library, "film", scenario.mode, replay.checkpoint)
        if replay.image is not None:
            image = form.keep(replay.image)
        _, words, start, picture, seed = show(scenario, image)
        updates = form.put(scenario.mode, replay.checkpoint, seed, start, picture)
        names = gr.Dropdown([*titles(scenario.mode), (f"{scenario.title} (yours)", OWN)], value=OWN)
        return names, (scenario, image), scenario, words, *updates

    def open_file(data: dict) -> tuple:
        replay, picture = sent_replay(data), data.get("picture")
        if not isinstance(picture, dict):
            return open_(replay)
        path = str(sent(picture))
        open_picture(path, name_of(picture))
        return open_(replay, path)

    def choose_upload(chosen: Scenario | None, event: gr.EventData) -> tuple:
        try:
            return open_file(event._data)
        except UserError as error:
            words = _problem(str(error)) + (_words(chosen) if chosen else "")
            return *(gr.skip(),) * 3, words, *(gr.skip(),) * len(form.all)

    by_name = name.input(choose, [name, form.mode, own, form.own], shown, **EVENT_OPTIONS)
    by_mode = form.mode.input(choose_mode, [form.mode, form.own], [name, *shown], **EVENT_OPTIONS)
    for event in (by_name, by_mode):
        form.follow(event.then)

    def restore(track: str, checkpoint: str, *choices) -> tuple:
        mode = library.entry(checkpoint).mode
        listed = library.scenarios()[mode]
        index = next((i for i, each in enumerate(listed) if track_key(each.track) == track), 0)
        scenario = listed[index] if listed else None
        names = gr.Dropdown(titles(mode), value=str(index) if listed else None)
        return names, None, scenario, _words(scenario), *form.put(mode, checkpoint, *choices)

    outputs = [name, own, chosen, words, *form.all]
    upload.chosen(choose_upload, chosen, outputs, **EVENT_OPTIONS)

    def request(checkpoint: str, image: str, seed: object, scenario: Scenario | None) -> SessionRequest:
        if scenario is None:
            raise FormError("There is no scenario to run. Use a file of your own.")
        return form.request(checkpoint, image, seed, scenario)

    def describe(request: SessionRequest, _checkpoint=None, _image=None, _seed=None, scenario=None) -> str:
        """What runs. Of a session that a page takes up, the description is not known."""
        if scenario is None and request.track is not None:
            track = request.track
            scenario = Scenario(request.title, "", track.mode, None, None, track)
        return _words(scenario)

    inputs = [form.checkpoint, form.image, form.seed, chosen]
    links.offer(form.link, form.shared, inputs)
    sessions_ui.connect(service, screen, results, request, inputs, running, describe)
    return ScenarioTab(form, outputs, open_, open_file, restore)


def _words(scenario: Scenario | None) -> str:
    if scenario is None:
        return _problem("There are no built-in scenarios for this world yet. Use a file of your own.")
    seconds = len(scenario.track) / FPS
    return (
        f"<h2>{escape(scenario.title)}</h2><p>{escape(scenario.description)}</p>"
        f"<p class=quiet>{MODES[scenario.mode].title}, {seconds:.1f} s, {len(scenario.track)} frames</p>"
        f'<div data-track="{track_key(scenario.track)}">{track_chart.draw(scenario.track)}</div>'
    )


def _problem(text: str) -> str:
    return f'<p class="problem" role="alert">{escape(text)}</p>'
