"""What visitors bring to the page, links and dropped files, and the links that they take away."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr
from gradio.utils import get_upload_folder

from mgdemo.replay import Replay, open_replay
from mgdemo.scenario import ScenarioError
from mgdemo.ui import share
from mgdemo.ui.choices import QUIET, ChoiceError, Choices
from mgdemo.ui.player import on_load
from mgdemo.ui.share import Shared, ShareError

if TYPE_CHECKING:
    from mgdemo.ui.scenarios import Scenes

OWN_PICTURE = "Your own picture cannot be in it: whoever opens it starts from one of ours."
EVENTS = ("link", "replay_link", "film", "picture", "scene_picture", "refused")
PROBLEMS = {
    "kind": "cannot be opened here: drop a film or a scenario that was made here, or a picture.",
    "size": "is larger than 40 MB: drop a smaller one.",
    "line": "did not reach the server: try again.",
}
TEMPLATE = """
<div class="drop-cue" hidden><p>Drop a film or a scenario made here, or a picture</p></div>
<div class="toast" role="status" hidden>
  <p class="message"></p>
  <input readonly hidden aria-label="The link">
  <button class="close" type="button" aria-label="Close">Close</button>
</div>
"""


class Desk:
    """The part of the page that belongs to no tab; made before the tabs, connected after them."""

    def __init__(self):
        self.html = gr.HTML(
            copy=None,
            elem_id="desk",
            html_template=TEMPLATE,
            js_on_load=on_load("open.js", *EVENTS),
            apply_default_css=False,
        )

    def connect(self, tabs: gr.Tabs, play: Choices, scenes: Scenes) -> None:
        """Lets links and files open in the tabs.

        Each event has the outputs of one tab, and changes them all or raises: what an update leaves out,
        Gradio forgets of a tab that was not open yet.
        """
        there = scenes.choices

        def read_link(event: gr.EventData) -> tuple[Shared, str]:
            """The link, and the checkpoint to take."""
            try:
                shared = share.parse(str(event._data.get("fragment")))
            except ShareError as error:
                raise refusal(error) from error
            here = [entry.name for entry in play.shelf.of_mode(shared.mode)]
            if not here:
                raise refusal("The world of this link is not here, so here is the page as always.")
            if shared.checkpoint in here:
                return shared, shared.checkpoint
            best = play.shelf.entry(play.shelf.best(shared.mode))
            gr.Info(escape(f"The link's own checkpoint is not here; this is {best.title} in its place."))
            return shared, best.name

        def open_link(own: str | None, event: gr.EventData) -> tuple:
            shared, checkpoint = read_link(event)
            image = play.shelf.shipped(shared.image, checkpoint)
            return gr.Tabs(selected="play"), *play.put(shared.mode, checkpoint, shared.seed, image, own)

        def open_replay_link(event: gr.EventData) -> tuple:
            shared, checkpoint = read_link(event)
            replay = Replay(dataclasses.replace(shared.scenario, image=shared.image), checkpoint)
            return gr.Tabs(selected="scenarios"), *scenes.open(replay, shared.seed, None, None)

        def open_film(seed: float, image: str | None, own: str | None, event: gr.EventData) -> tuple:
            try:
                replay = open_replay(sent(event))
            except ScenarioError as error:
                raise refusal(error) from error
            return gr.Tabs(selected="scenarios"), *scenes.open(replay, seed, image, own)

        def picture_opener(choices: Choices) -> Callable:
            def open_picture(checkpoint: str, event: gr.EventData) -> tuple:
                path = str(sent(event))
                updates = choices.choose_upload(path, checkpoint)
                if updates[0] == path:
                    gr.Info("This picture is the start image now.")
                return updates

            return open_picture

        def refuse(event: gr.EventData) -> None:
            raise refusal(f"{event._data.get('name')} {PROBLEMS.get(event._data.get('problem'), '')}")

        on = self.html
        on.link(open_link, play.own, [tabs, *play.all], **QUIET)
        on.replay_link(open_replay_link, None, [tabs, *scenes.outputs], **QUIET)
        on.film(open_film, [there.seed, there.image, there.own], [tabs, *scenes.outputs], **QUIET)
        on.picture(picture_opener(play), play.checkpoint, [play.own, *play.shown], **QUIET)
        on.scene_picture(picture_opener(there), there.checkpoint, [there.own, *there.shown], **QUIET)
        on.refused(refuse, **QUIET)

    def offer(self, button: gr.Button, shared: Callable[..., Shared], inputs: list) -> None:
        """Lets a button copy the link to what `shared` makes of the inputs."""

        def copy(*values) -> gr.HTML:
            try:
                it = shared(*values)
                link = {"fragment": share.fragment(it), "note": "" if it.image else OWN_PICTURE}
            except (ChoiceError, ScenarioError, ShareError) as error:
                raise refusal(error) from error
            return gr.HTML(copy=link | {"id": secrets.token_hex(4)})  # the same link again is news, too

        button.click(copy, inputs, self.html, **QUIET)


def refusal(why: object) -> gr.Error:
    """Tells the visitor why, gently, and gives what to raise so that nothing else changes."""
    gr.Warning(escape(str(why)))
    return gr.Error(visible=False, print_exception=False)


def sent(event: gr.EventData) -> Path:
    """The file that the page has sent."""
    path = uploaded(event._data.get("path"))
    if path is None:
        raise refusal(f"{event._data.get('name')} {PROBLEMS['line']}")
    return path


def uploaded(path: object) -> Path | None:
    """The file at a path that a page says it has sent; None if it is no such file."""
    if not isinstance(path, str) or not path:
        return None
    try:
        file = Path(path).resolve()
    except ValueError:
        return None
    return file if file.is_relative_to(Path(get_upload_folder()).resolve()) and file.is_file() else None
