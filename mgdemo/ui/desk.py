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

from mgdemo.replay import FILMS, SCENARIOS, Replay, open_replay
from mgdemo.scenario import ScenarioError
from mgdemo.ui import share
from mgdemo.ui.choices import QUIET, ChoiceError, Choices
from mgdemo.ui.player import on_load
from mgdemo.ui.share import Shared, ShareError

if TYPE_CHECKING:
    from mgdemo.ui.scenarios import Scenes

OWN_PICTURE = "Your own picture cannot be in it: whoever opens it starts from one of ours."
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
            js_on_load=on_load("open.js", "link", "file"),
            apply_default_css=False,
        )

    def connect(self, tabs: gr.Tabs, play: Choices, scenes: Scenes) -> None:
        """Lets links and files open in the tabs."""
        shelf = play.shelf
        nothing = {tabs: gr.skip()}

        def in_play(values: tuple) -> dict:
            return {tabs: gr.Tabs(selected="play")} | dict(zip(play.all, values, strict=True))

        def in_scenarios(values: tuple) -> dict:
            return {tabs: gr.Tabs(selected="scenarios")} | dict(zip(scenes.outputs, values, strict=True))

        def open_link(own: str | None, event: gr.EventData) -> dict:
            try:
                shared = share.parse(str(event._data.get("fragment")))
                if not shelf.of_mode(shared.mode):
                    raise ShareError("The world of this link is not here, so here is the page as always.")
            except ShareError as error:
                gr.Warning(escape(str(error)))
                return nothing
            checkpoint, image = shared.checkpoint, shared.image
            if checkpoint not in [entry.name for entry in shelf.of_mode(shared.mode)]:
                checkpoint = shelf.best(shared.mode)
                title = shelf.entry(checkpoint).title
                gr.Info(escape(f"The link's own checkpoint is not here; this is {title} in its place."))
            if shared.scenario:
                replay = Replay(dataclasses.replace(shared.scenario, image=image), checkpoint)
                return in_scenarios(scenes.open(replay, shared.seed, None, None))
            image = shelf.shipped(image, checkpoint)
            return in_play(play.put(shared.mode, checkpoint, shared.seed, image, own))

        def open_file(
            play_checkpoint: str,
            checkpoint: str,
            seed: float,
            image: str | None,
            own: str | None,
            event: gr.EventData,
        ) -> dict:
            data = event._data
            name, path = Path(str(data.get("name"))).name, uploaded(data.get("path"))
            if path is None:
                gr.Warning(escape(f"{name} {PROBLEMS.get(str(data.get('problem')), PROBLEMS['line'])}"))
                return nothing
            if path.suffix.lower() in FILMS + SCENARIOS:
                try:
                    return in_scenarios(scenes.open(open_replay(path), seed, image, own))
                except ScenarioError as error:
                    gr.Warning(escape(str(error)))
                    return nothing
            choices, now = play, play_checkpoint
            if data.get("tab") == "scenarios":
                choices, now = scenes.choices, checkpoint
            values = choices.choose_upload(str(path), now)
            if values[0] == str(path):
                gr.Info("This picture is the start image now.")
            return nothing | dict(zip([choices.own, *choices.shown], values, strict=True))

        outputs = [tabs, *play.all, *scenes.outputs]
        there = scenes.choices
        self.html.link(open_link, play.own, outputs, **QUIET)
        inputs = [play.checkpoint, there.checkpoint, there.seed, there.image, there.own]
        self.html.file(open_file, inputs, outputs, **QUIET)

    def offer(self, button: gr.Button, shared: Callable[..., Shared], inputs: list) -> None:
        """Lets a button copy the link to what `shared` makes of the inputs."""

        def copy(*values) -> gr.HTML:
            try:
                it = shared(*values)
                link = {"fragment": share.fragment(it), "note": "" if it.image else OWN_PICTURE}
            except (ChoiceError, ScenarioError, ShareError) as error:
                gr.Warning(escape(str(error)))
                return gr.skip()
            return gr.HTML(copy=link | {"id": secrets.token_hex(4)})  # the same link again is news, too

        button.click(copy, inputs, self.html, **QUIET)


def uploaded(path: object) -> Path | None:
    """The file at a path that a page says it has sent; None if it is no such file."""
    if not isinstance(path, str) or not path:
        return None
    try:
        file = Path(path).resolve()
    except ValueError:
        return None
    return file if file.is_relative_to(Path(get_upload_folder()).resolve()) and file.is_file() else None
