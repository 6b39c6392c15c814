"""Lets links and files that a visitor brings open in the tabs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from html import escape

import gradio as gr

from mgdemo.errors import UserError
from mgdemo.replay import Replay
from mgdemo.ui import share
from mgdemo.ui.compare import CompareTab
from mgdemo.ui.events import AS_SENT, EACH, EVENT_OPTIONS
from mgdemo.ui.file_turns import EVENT
from mgdemo.ui.files import PROBLEMS, name_of
from mgdemo.ui.form import SessionForm, say_replaced
from mgdemo.ui.links import Links, refusal
from mgdemo.ui.scenarios import ScenarioTab
from mgdemo.ui.share import Shared, ShareError


def connect(
    links: Links, tabs: gr.Tabs, play: SessionForm, scenarios: ScenarioTab, compare: CompareTab
) -> None:
    """Lets links and files open in the tabs.

    Each event has the outputs of one tab, and changes them all or raises: what an update leaves out,
    Gradio forgets of a tab that was not open yet.
    """
    there = scenarios.form

    def read_link(event: gr.EventData) -> tuple[Shared, str]:
        """The link, and the checkpoint to take."""
        try:
            shared = share.parse(str(event._data.get("fragment")))
        except ShareError as error:
            raise refusal(error) from error
        here = [entry.name for entry in play.library.of_mode(shared.mode)]
        if not here:
            raise refusal("This link's world isn't available here, so the page opened with its defaults.")
        say_replaced(play.library, "link", shared.mode, shared.checkpoint)
        return shared, shared.checkpoint if shared.checkpoint in here else play.library.best(shared.mode)

    def open_link(own: str | None, event: gr.EventData) -> tuple:
        shared, checkpoint = read_link(event)
        image = play.library.shipped(shared.image, checkpoint)
        if shared.image and not image:
            gr.Info("This link's start image isn't available here. Using the first one instead.")
        return gr.Tabs(selected="play"), *play.put(shared.mode, checkpoint, shared.seed, image, own)

    def open_replay_link(event: gr.EventData) -> tuple:
        shared, checkpoint = read_link(event)
        if shared.scenario is None:
            raise refusal(share.DAMAGED)
        began = dataclasses.replace(shared.scenario, image=shared.image, seed=shared.seed)
        return gr.Tabs(selected="scenarios"), *scenarios.open(Replay(shared.scenario, checkpoint), began)

    def open_comparison(event: gr.EventData) -> tuple:
        try:
            updates = compare.open_link(str(event._data.get("fragment")))
        except ShareError as error:
            raise refusal(error) from error
        return gr.Tabs(selected="compare"), *updates

    def open_replay(event: gr.EventData) -> tuple:
        try:
            updates = scenarios.open_file(event._data)
        except UserError as error:
            raise refusal(error) from error
        say_others(event._data)
        return gr.Tabs(selected="scenarios"), *updates

    def picture_opener(form: SessionForm) -> Callable:
        def open_picture(checkpoint: str, event: gr.EventData) -> tuple:
            updates = form.choose_file(checkpoint, event)
            if isinstance(updates[0], str):
                gr.Info("This picture is the start image now.")
                say_others(event._data)
            return updates

        return open_picture

    def refuse(event: gr.EventData) -> None:
        raise refusal(f"{name_of(event._data)} {PROBLEMS['kind']}")

    on, picture = links.html, AS_SENT | EACH | EVENT
    on.link(open_link, play.own, [tabs, *play.all], **EVENT_OPTIONS)
    on.replay_link(open_replay_link, None, [tabs, *scenarios.outputs], **EVENT_OPTIONS)
    on.compare_link(open_comparison, None, [tabs, *compare.outputs], **EVENT_OPTIONS)
    on.replay(open_replay, None, [tabs, *scenarios.outputs], **EACH | EVENT)
    on.picture(picture_opener(play), play.checkpoint, [play.own, *play.shown], **picture)
    on.scenario_picture(picture_opener(there), there.checkpoint, [there.own, *there.shown], **picture)
    on.refused(refuse, **EVENT_OPTIONS)


def say_others(data: dict) -> None:
    """Names the files that were dropped with those that were opened, and were not taken."""
    others = data.get("others")
    names = [name for name in others if isinstance(name, str)][:5] if isinstance(others, list) else []
    if names:
        gr.Info(
            escape(f"Not opened: {', '.join(names)}. Drop one scenario or film, or one picture, at a time.")
        )
