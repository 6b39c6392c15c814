"""Links to what is chosen or was played, and the cue for dropped files."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from html import escape

import gradio as gr

from mgdemo.errors import UserError
from mgdemo.ui import share
from mgdemo.ui.events import AS_SENT
from mgdemo.ui.modules import on_load
from mgdemo.ui.share import Shared

OWN_PICTURE = "Links can't include your own picture; whoever opens it starts from a built-in one."
EVENTS = (
    *("link", "replay_link", "replay", "picture", "scenario_picture", "refused"),
    *("compare_link", "restore_play", "restore_scenarios", "restore_compare"),
)
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
            js_on_load=on_load("ui/player/links.js", *EVENTS),
            apply_default_css=False,
        )

    def offer(self, button: gr.Button, shared: Callable[..., Shared], inputs: list) -> None:
        """Lets a button copy the link to what `shared` makes of the inputs."""

        def copy(*values) -> gr.HTML:
            try:
                it = shared(*values)
                link = {"fragment": share.fragment(it), "note": "" if it.image else OWN_PICTURE}
            except UserError as error:
                raise refusal(error) from error
            return gr.HTML(copy=link | {"id": secrets.token_hex(4)})  # the same link again is news, too

        button.click(copy, inputs, self.html, **AS_SENT)


def refusal(why: object) -> gr.Error:
    """Tells the visitor why, gently, and gives what to raise so that nothing else changes."""
    gr.Warning(escape(str(why)))
    return gr.Error(visible=False, print_exception=False)
