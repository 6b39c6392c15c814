"""The editor of the Scenarios tab: the text of the chosen scenario, checked while it is written."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

import gradio as gr
from gradio.blocks import Block

from mgdemo.blocks import FPS
from mgdemo.scenario import Scenario, ScenarioError, bare_yaml, parse_scenario
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.modules import on_load

NAME = "The text"  # what errors call it
PLACE = re.compile(rf"{NAME}, line (\d+), column (\d+): (.*)", re.DOTALL)
TEMPLATE = """
<div class="verdict"><p></p></div>
<p class="sr-only" role="status"></p>
<div class="unkept tools" role="alert" hidden>
  <p>Your browser could not save what you just wrote.</p>
  <button type="button" class="bring-back">Bring it back</button>
</div>
<div class="tools">
  <button type="button" class="save">Save in this browser</button>
  <button type="button" class="download">Download</button>
  <button type="button" class="undo">Undo all changes</button>
</div>
"""
# Disabled until the module that listens to it is there.
TOGGLE = '<button type="button" class="edit-toggle" aria-expanded="false" disabled>Edit scenario</button>'
LEAVE = '<p class="about">To leave the text by keyboard, press Escape, then Tab.</p>'


@dataclass(frozen=True)
class Origin:
    """Where the text in the editor comes from.

    listed: it is one of the library's; id: what the browser calls it, if it keeps it; edited: it has changes
    that the browser does not keep yet.
    """

    listed: bool = False
    id: str = ""
    edited: bool = False


LISTED = Origin(listed=True)


class Uncut(str):
    """A text from which Gradio's editor cuts no white space off."""

    def strip(self, chars: str | None = None) -> str:
        return self


class Editor:
    """Laid out in the Gradio context in which this is made, with the button that opens it.

    `code` holds the text, which is what runs. `panel` has the event `edited`, whose data hold the `text`.
    """

    def __init__(self, scenario: Scenario | None):
        text = text_of(scenario) if scenario else ""
        gr.HTML(TOGGLE, apply_default_css=False, elem_classes="edit")
        with gr.Column(elem_classes="editor"):
            self.panel = gr.HTML(
                doc=_doc(text, LISTED) | {"id": ""},
                verdict=verdict(scenario),
                html_template=TEMPLATE,
                js_on_load=on_load("ui/scenarios/editor.js", "edited", "mounted"),
                apply_default_css=False,
            )
            self.code = gr.Code(
                Uncut(text),
                language="yaml",
                label="Scenario",
                show_label=False,
                interactive=True,
                lines=10,
                max_lines=18,
                wrap_lines=True,
                buttons=[],
                visible=False,
            )
            gr.HTML(LEAVE, apply_default_css=False)
        # Its modules weigh as much as all of ours together, so only a tab that is opened loads them.
        self.panel.mounted(lambda: gr.update(visible=True), None, self.code, **EVENT_OPTIONS)
        typed = "(text) => document.dispatchEvent(new CustomEvent('mg-typed', { detail: text }))"
        self.code.input(None, self.code, None, js=typed, **EVENT_OPTIONS)

    @property
    def outputs(self) -> list[Block]:
        return [self.code, self.panel]

    def show(self, scenario: Scenario | None, origin: Origin) -> tuple:
        """Updates for `outputs`: another scenario is open."""
        text = text_of(scenario) if scenario else ""
        return Uncut(text), gr.HTML(doc=_doc(text, origin), verdict=verdict(scenario))

    def show_text(self, text: str, error: ScenarioError, origin: Origin) -> tuple:
        """Updates for `outputs`: a text is open that is no scenario yet."""
        return Uncut(text), gr.HTML(doc=_doc(text, origin), verdict=verdict(error))

    def judge(self, found: Scenario | ScenarioError) -> gr.HTML:
        """The update for `panel`: what there is to say of the text."""
        return gr.HTML(verdict=verdict(found))

    @staticmethod
    def read(text: str) -> Scenario:
        """The scenario that a visitor has written. Raises ScenarioError; `placed` says it better here."""
        return parse_scenario(text, NAME)


def text_of(scenario: Scenario) -> str:
    """What its author wrote; its bare actions, if it includes files that the editor's text cannot name."""
    try:
        parse_scenario(scenario.text)
        return scenario.text
    except ScenarioError:
        return bare_yaml(scenario)


def placed(error: ScenarioError) -> tuple[str, int | None]:
    """What is wrong with the text of the editor, and in which line: "Line 4, column 12: …"."""
    match = PLACE.fullmatch(str(error))
    return (f"Line {match[1]}, column {match[2]}: {match[3]}", int(match[1])) if match else (str(error), None)


def verdict(found: Scenario | ScenarioError | None) -> dict:
    """What the panel shows: `words`; of an error, the `line`, which may be None; else, what it is `about`."""
    if found is None:
        return {"words": "", "problem": False, "line": None, "about": None}
    if isinstance(found, ScenarioError):
        words, line = placed(found)
        return {"words": words, "problem": True, "line": line, "about": None}
    seconds = len(found.track) / FPS
    words = f"Ready to run: {seconds:.1f} s, {len(found.track)} frames."
    about = {"title": found.title, "mode": found.mode, "detail": f"{seconds:.1f} s"}
    return {"words": words, "problem": False, "line": None, "about": about}


def _doc(text: str, origin: Origin) -> dict:
    """What is open, for the page; the same text again is news, too."""
    known = {"listed": origin.listed, "own": origin.id, "edited": origin.edited}
    return {"text": text, "id": secrets.token_hex(4), **known}
