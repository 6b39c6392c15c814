"""Lets links and files that a visitor brings open in the tabs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from html import escape

import gradio as gr

from mgdemo.replay import Replay, open_replay
from mgdemo.scenario import ScenarioError
from mgdemo.ui import share
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.form import SessionForm
from mgdemo.ui.links import PROBLEMS, Links, refusal, sent
from mgdemo.ui.scenarios import ScenarioTab
from mgdemo.ui.share import Shared, ShareError


def connect(links: Links, tabs: gr.Tabs, play: SessionForm, scenarios: ScenarioTab) -> None:
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
            raise refusal("The world of this link is not here, so here is the page as always.")
        if shared.checkpoint in here:
            return shared, shared.checkpoint
        best = play.library.entry(play.library.best(shared.mode))
        gr.Info(escape(f"The link's own checkpoint is not here; this is {best.title} in its place."))
        return shared, best.name

    def open_link(own: str | None, event: gr.EventData) -> tuple:
        shared, checkpoint = read_link(event)
        image = play.library.shipped(shared.image, checkpoint)
        return gr.Tabs(selected="play"), *play.put(shared.mode, checkpoint, shared.seed, image, own)

    def open_replay_link(event: gr.EventData) -> tuple:
        shared, checkpoint = read_link(event)
        replay = Replay(dataclasses.replace(shared.scenario, image=shared.image), checkpoint)
        return gr.Tabs(selected="scenarios"), *scenarios.open(replay, shared.seed, None, None)

    def open_film(seed: float, image: str | None, own: str | None, event: gr.EventData) -> tuple:
        try:
            replay = open_replay(sent(event))
        except ScenarioError as error:
            raise refusal(error) from error
        return gr.Tabs(selected="scenarios"), *scenarios.open(replay, seed, image, own)

    def picture_opener(form: SessionForm) -> Callable:
        def open_picture(checkpoint: str, event: gr.EventData) -> tuple:
            path = str(sent(event))
            updates = form.choose_upload(path, checkpoint)
            if updates[0] == path:
                gr.Info("This picture is the start image now.")
            return updates

        return open_picture

    def refuse(event: gr.EventData) -> None:
        raise refusal(f"{event._data.get('name')} {PROBLEMS.get(event._data.get('problem'), '')}")

    on = links.html
    on.link(open_link, play.own, [tabs, *play.all], **EVENT_OPTIONS)
    on.replay_link(open_replay_link, None, [tabs, *scenarios.outputs], **EVENT_OPTIONS)
    on.film(open_film, [there.seed, there.image, there.own], [tabs, *scenarios.outputs], **EVENT_OPTIONS)
    on.picture(picture_opener(play), play.checkpoint, [play.own, *play.shown], **EVENT_OPTIONS)
    on.scene_picture(picture_opener(there), there.checkpoint, [there.own, *there.shown], **EVENT_OPTIONS)
    on.refused(refuse, **EVENT_OPTIONS)
