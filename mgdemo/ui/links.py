"""What visitors bring to the page, links and dropped files, and the links that they take away."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from html import escape
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from mgdemo.scenario import ScenarioError
from mgdemo.ui import share
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.form import FormError
from mgdemo.ui.player import on_load
from mgdemo.ui.share import Shared, ShareError

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


class Links:
    """The part of the page that belongs to no tab; made before the tabs, connected after them."""

    def __init__(self):
        self.html = gr.HTML(
            copy=None,
            elem_id="links",
            html_template=TEMPLATE,
            js_on_load=on_load("links.js", *EVENTS),
            apply_default_css=False,
        )

    def offer(self, button: gr.Button, shared: Callable[..., Shared], inputs: list) -> None:
        """Lets a button copy the link to what `shared` makes of the inputs."""

        def copy(*values) -> gr.HTML:
            try:
                it = shared(*values)
                link = {"fragment": share.fragment(it), "note": "" if it.image else OWN_PICTURE}
            except (FormError, ScenarioError, ShareError) as error:
                raise refusal(error) from error
            return gr.HTML(copy=link | {"id": secrets.token_hex(4)})  # the same link again is news, too

        button.click(copy, inputs, self.html, **EVENT_OPTIONS)


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
