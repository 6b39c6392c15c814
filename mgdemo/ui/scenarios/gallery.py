"""The scenarios to choose from: the library's, what the visitor has open, and what their browser keeps."""

from __future__ import annotations

import gradio as gr

from mgdemo.actions import MODES
from mgdemo.blocks import FPS
from mgdemo.scenario import Scenario
from mgdemo.ui.modules import on_load
from mgdemo.ui.scenarios.thumbnails import Thumbnails

OPEN = "open"  # the value of `selected` for a scenario that is none of the library's
TEMPLATE = """
<p class="label" aria-hidden="true">Scenario</p>
<div class="gallery" role="radiogroup" aria-label="Scenario">
  <div class="cards"></div>
  <p class="yours" hidden>Your scenarios</p>
  <div class="cards own"></div>
</div>
"""


class Gallery:
    """Laid out in the Gradio context in which this is made.

    At its event `chosen` its value has the `key` of a listed scenario, or `text` and `id` of one that the
    browser keeps.
    """

    def __init__(self, thumbnails: Thumbnails, listed: list[Scenario], selected: str | None):
        self.thumbnails = thumbnails
        titles = {mode.name: mode.title for mode in MODES.values()}
        self.html = gr.HTML(
            **self._shown(listed, selected),
            html_template=TEMPLATE,
            js_on_load=on_load("ui/scenarios/gallery.js", "chosen", modes=titles),
            apply_default_css=False,
            render=False,
        )

    def show(self, listed: list[Scenario], selected: str | None) -> gr.HTML:
        """The update for the scenarios of a mode, one of which is chosen."""
        return gr.HTML(**self._shown(listed, selected))

    def show_open(self, listed: list[Scenario], scenario: Scenario) -> gr.HTML:
        """The update for a chosen scenario that is none of the library's, of which `listed` has its mode."""
        about = {"title": scenario.title, "detail": detail(scenario)}
        return gr.HTML(**self._shown(listed, OPEN, about))

    def _shown(self, listed: list[Scenario], selected: str | None, open: dict | None = None) -> dict:
        items = []
        for scenario in listed:
            src, frames = self.thumbnails.address(scenario)
            items.append(
                {
                    "key": key_of(scenario),
                    "title": scenario.title,
                    "about": scenario.description,
                    "detail": detail(scenario),
                    "src": src,
                    "frames": frames,
                }
            )
        return {"items": items, "selected": selected, "open": open}


def key_of(scenario: Scenario) -> str:
    """What the page calls a scenario of the library."""
    return scenario.path.stem if scenario.path else scenario.title


def find(listed: list[Scenario], key: object) -> Scenario | None:
    return next((scenario for scenario in listed if key_of(scenario) == key), None)


def detail(scenario: Scenario) -> str:
    return f"{len(scenario.track) / FPS:.1f} s"
