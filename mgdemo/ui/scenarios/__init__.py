"""The Scenarios tab: choose, write or bring a scripted session, see its timeline, watch it come about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.blocks import Block

from mgdemo.actions import MODES
from mgdemo.errors import UserError
from mgdemo.replay import Replay
from mgdemo.scenario import Scenario, ScenarioError
from mgdemo.serving import SessionRequest, SessionService
from mgdemo.ui import sessions_ui
from mgdemo.ui.chosen import FormError
from mgdemo.ui.events import AS_SENT, CHOICE, EACH
from mgdemo.ui.file_turns import EVENT
from mgdemo.ui.files import REPLAYS, file_button, sent_picture, sent_replay
from mgdemo.ui.form import SessionForm, say_replaced
from mgdemo.ui.library import Library
from mgdemo.ui.links import Links, refusal
from mgdemo.ui.player import player, track_key
from mgdemo.ui.results import Results
from mgdemo.ui.scenarios.editor import Editor, Origin, placed
from mgdemo.ui.scenarios.gallery import Gallery, find, key_of
from mgdemo.ui.scenarios.thumbnails import Thumbnails
from mgdemo.ui.scenarios.view import ScenarioView, described, problem, words_of
from mgdemo.ui.share import Shared

GONE = "This scenario is not here any more: choose another one."


@dataclass(frozen=True)
class ScenarioTab:
    """What others need of the tab.

    The functions give the updates of `outputs`, or raise UserError: `open` of a Replay, and of a scenario
    with the start image and the seed to take, which need not be those in its text; `open_file` of what the
    page says of a file that it has sent; `restore` of what it says was open, and of checkpoint, seed, start
    image and own picture.
    """

    form: SessionForm
    outputs: list[Block]
    open: Callable[[Replay, Scenario], tuple]
    open_file: Callable[[dict], tuple]
    restore: Callable[..., tuple]


def scenarios_tab(
    service: SessionService, library: Library, links: Links, thumbnails: Thumbnails
) -> ScenarioTab:
    """Lays the tab out in the current Gradio context."""
    scenarios = library.scenarios()[library.first().mode]
    first = next(iter(scenarios), None)
    gallery = Gallery(thumbnails, scenarios, first and key_of(first))
    upload = file_button("Use your own file", REPLAYS, render=False)
    with gr.Row(elem_classes="halves"):
        with gr.Column(scale=7, min_width=480):
            stage = gr.Column()
        with gr.Column(scale=3, min_width=300):
            results = Results(links, service.settings.keep_hours)
            image = library.start_image(first) if first else None
            after_mode = (gallery.html, upload)
            form = SessionForm(library, live=False, start="Run", image=image, after_mode=after_mode)
    with stage:
        screen = player(form.first_setup, "scenarios", "Scenarios")
        running = words_of("running", "")
        with gr.Column(elem_classes="chosen-scenario"):
            words = words_of("chosen", described(first, service.lending))
            editor = Editor(first)
    form.connect(screen)
    view = ScenarioView(library, gallery, words, editor, form, service.lending)

    def choose(mode: str, checkpoint: str, own: str | None, chosen: Any) -> tuple:
        """chosen: the `key` of a listed scenario, or `text` and `id` of one that the browser keeps."""
        if isinstance(chosen, dict) and "text" in chosen:
            return choose_own(mode, checkpoint, own, str(chosen["text"]), str(chosen.get("id")))
        scenario = find(view.listed(mode), chosen.get("key") if isinstance(chosen, dict) else None)
        if scenario is None:
            raise refusal(GONE)
        return view.show_listed(mode, scenario, checkpoint, own)

    def choose_mode(mode: str, own: str | None) -> tuple:
        return view.show_listed(mode, next(iter(view.listed(mode)), None), None, own)

    def choose_own(mode: str, checkpoint: str, own: str | None, text: str, id: str) -> tuple:
        """It may be one that was left half written."""
        try:
            return open_(Replay(editor.read(text)), id=id)
        except ScenarioError as error:
            first = next(iter(view.listed(mode)), None)
            return view.show_broken(
                text, error, view.show_listed(mode, first, checkpoint, own), Origin(id=id)
            )

    def open_(replay: Replay, began: Scenario | None = None, image: str | None = None, id: str = "") -> tuple:
        """began: what start image and seed are taken from, if not from its scenario; image: the path of its
        start image, if known; id: what the browser calls it, if it keeps it."""
        scenario = replay.scenario
        began = began or scenario
        if not library.of_mode(scenario.mode):
            raise FormError(
                f"{scenario.title} is for {MODES[scenario.mode].title}, which isn't available here."
            )
        say_replaced(library, "film", scenario.mode, replay.checkpoint)
        own = image = form.keep(replay.image) if replay.image is not None else image
        if image is None:
            image, own = view.start(began, None)
        return view.show_own(scenario, replay.checkpoint, began.seed or 0, image, own, Origin(id=id))

    def open_file(data: dict) -> tuple:
        replay, picture = sent_replay(data), data.get("picture")
        if not isinstance(picture, dict):
            return open_(replay)
        return open_(replay, image=str(sent_picture(picture)))

    def choose_upload(valid: Scenario | None, event: gr.EventData) -> tuple:
        try:
            return open_file(event._data)
        except UserError as error:
            said = problem(str(error)) + (view.described(valid) if valid else "")
            return tuple(said if part is words else gr.skip() for part in view.outputs)

    def edit(
        valid: Scenario | None, checkpoint: str, seed: Any, image: str, own: str, event: gr.EventData
    ) -> tuple:
        text, put = str(event._data.get("text")), event._data.get("put") is True
        return view.edited(text, put, valid, checkpoint, seed, image, own)

    here = [form.mode, form.checkpoint, form.own, gallery.html]
    gallery.html.chosen(choose, here, view.outputs, **AS_SENT | CHOICE)
    form.mode.input(choose_mode, [form.mode, form.own], view.outputs, **CHOICE)
    upload.chosen(choose_upload, view.valid, view.outputs, **EACH | EVENT)
    written = [view.valid, form.checkpoint, form.seed, form.image, form.own]
    editor.panel.edited(edit, written, view.outputs, **AS_SENT | EACH)

    def restore(open: dict, checkpoint: str, seed: int, image: str | None, own: str | None) -> tuple:
        """open: the `track` of a listed scenario, or the `text` of another one, which the browser may know by
        an `id`; whether it was `edited`."""
        mode, text = library.entry(checkpoint).mode, open.get("text")
        origin = Origin(id=str(open.get("id") or ""), edited=open.get("edited") is True)
        listed = view.listed(mode)
        same = [it for it in listed if track_key(it.track) == open.get("track")]
        found = next(iter(same or listed), None)
        shown = view.show_listed(mode, found, checkpoint, own)
        try:
            if isinstance(text, str) and library.of_mode((found := editor.read(text)).mode):
                image, own = (image, own) if image else view.start(found, own)
                return view.show_own(found, checkpoint, seed, image, own, origin)
        except ScenarioError as error:
            return view.show_broken(str(text), error, shown, origin)
        if same and not image:  # its own picture is beside it, or is asked for again
            image, own = view.start(same[0], own)
        return *shown[: -len(form.all)], *form.put(mode, checkpoint, seed, image, own)

    def scenario_of(text: str) -> Scenario:
        """What is to be run: what the editor says, whether or not it has been checked. Raises FormError."""
        if not isinstance(text, str) or not text.strip():
            raise FormError("There is no scenario to run. Use a file of your own.")
        try:
            return editor.read(text)
        except ScenarioError as error:
            raise FormError(f"The scenario cannot be run. {placed(error)[0]}") from error

    def request(text: str, mode: str, *chosen) -> SessionRequest:
        scenario = scenario_of(text)
        if scenario.mode != mode:
            raise FormError("The scenario has just changed: press Run again.")
        return form.request(mode, *chosen, scenario=scenario)

    def shared(text: str, *chosen) -> Shared:
        return form.shared(*chosen, scenario=scenario_of(text))

    def describe(request: SessionRequest, text="", *_chosen) -> str:
        """What runs. Of a session that a page takes up, the description is not known."""
        if text or request.track is None:
            return described(editor.read(text) if text else None)
        track = request.track
        return described(Scenario(request.title, "", track.mode, None, None, track))

    inputs = [editor.code, *form.chosen]
    links.offer(form.link, shared, inputs)
    sessions_ui.connect(service, screen, results, request, inputs, running, describe)
    return ScenarioTab(form, view.outputs, open_, open_file, restore)
