"""What was chosen on a page comes back when the page is loaded again."""

from __future__ import annotations

from typing import Any

import gradio as gr

from mgdemo.seeds import MAX_SEED
from mgdemo.ui.compare import CompareTab
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.files import picture_at
from mgdemo.ui.form import SessionForm
from mgdemo.ui.links import Links
from mgdemo.ui.scenarios import ScenarioTab


def connect(
    links: Links, tabs: gr.Tabs, play: SessionForm, scenarios: ScenarioTab, compare: CompareTab
) -> None:
    """Lets the events `restore_play`, `restore_scenarios` and `restore_compare` bring back what they say was
    chosen.

    The data of the first two are those of `setup` (checkpoint, image), the seed, what was open in the editor
    and whether the tab was open; those of the third are what its page kept. Each has the outputs of one tab,
    and changes them all or raises.
    """

    def restore_play(event: gr.EventData) -> tuple:
        checkpoint, seed, image, own = _chosen(play, event._data)
        mode = play.library.entry(checkpoint).mode
        return play.put(mode, checkpoint, seed, image, own)

    def restore_scenarios(event: gr.EventData) -> tuple:
        chosen = _chosen(scenarios.form, event._data)
        tab = gr.Tabs(selected="scenarios") if event._data.get("open") is True else gr.skip()
        return tab, *scenarios.restore(event._data, *chosen)

    def restore_compare(event: gr.EventData) -> tuple:
        tab = gr.Tabs(selected="compare") if event._data.get("open") is True else gr.skip()
        return tab, *compare.restore(event._data)

    links.html.restore_play(restore_play, None, play.all, **EVENT_OPTIONS)
    links.html.restore_scenarios(restore_scenarios, None, [tabs, *scenarios.outputs], **EVENT_OPTIONS)
    links.html.restore_compare(restore_compare, None, [tabs, *compare.outputs], **EVENT_OPTIONS)


def _chosen(form: SessionForm, data: dict[str, Any]) -> tuple[str, int, str | None, str | None]:
    """Checkpoint, seed, start image and own picture; what is not here any more gives way."""
    checkpoint, image, seed = data.get("checkpoint"), data.get("image"), data.get("seed")
    if checkpoint not in [entry.name for entry in form.library.catalog()]:
        raise gr.Error(visible=False, print_exception=False)  # then the page stays as it is
    if not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
        seed = 0
    built_in = form.library.shipped(image, checkpoint) if isinstance(image, str) else None
    own = None if built_in else picture_at(image)
    return checkpoint, seed, built_in or (own and str(own)), own and str(own)
