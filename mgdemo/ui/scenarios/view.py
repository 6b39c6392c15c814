"""What the tab shows of the open scenario: in the gallery, in words and lanes, in the editor, in the form."""

from __future__ import annotations

from html import escape
from typing import Any

import gradio as gr
from gradio.blocks import Block

from mgdemo.actions import MODES
from mgdemo.blocks import FPS
from mgdemo.scenario import Scenario, ScenarioError
from mgdemo.serving.lending import Lending
from mgdemo.ui.form import SessionForm
from mgdemo.ui.library import Library, missing
from mgdemo.ui.modules import on_load
from mgdemo.ui.player import track_key
from mgdemo.ui.scenarios import track_chart
from mgdemo.ui.scenarios.editor import LISTED, Editor, Origin, Uncut, text_of
from mgdemo.ui.scenarios.gallery import Gallery, key_of


class ScenarioView:
    """The parts of the tab that show one scenario.

    The methods give updates for all `outputs`, in their order: what an update leaves out, Gradio forgets of a
    tab that was not open yet.
    """

    def __init__(
        self,
        library: Library,
        gallery: Gallery,
        words: gr.HTML,
        editor: Editor,
        form: SessionForm,
        lending: Lending,
    ):
        self.library, self.gallery, self.words, self.lending = library, gallery, words, lending
        self.editor, self.form = editor, form
        self.valid = gr.State(next(iter(self.listed(form.mode.value)), None))  # what the text was at last

    @property
    def outputs(self) -> list[Block]:
        return [self.gallery.html, self.valid, self.words, *self.editor.outputs, *self.form.all]

    def listed(self, mode: str) -> list[Scenario]:
        """The scenarios of the library."""
        return self.library.scenarios()[mode]

    def described(self, scenario: Scenario | None) -> str:
        """In words and lanes, as HTML, with what a run of it would cost."""
        return described(scenario, self.lending)

    def start(self, scenario: Scenario, own: str | None) -> tuple[str | None, str | None]:
        """The path of the start image that a scenario begins with (one that `missing` knows if it cannot be
        had), and of the picture that is offered beside the built-in ones. A scenario that names no image
        begins with the first one, as a new page does.
        """
        best = self.library.best(scenario.mode)
        image = self.library.start_image(scenario) or next(map(str, self.library.start_images(best)), None)
        if image and not missing(image) and not self.library.reference(image, best):
            own = image
        return image, own

    def show_listed(
        self, mode: str, scenario: Scenario | None, checkpoint: str | None, own: str | None
    ) -> tuple:
        """A scenario of the library, with its own start image and seed; None: the mode has none."""
        gallery = self.gallery.show(self.listed(mode), key_of(scenario) if scenario else None)
        image, seed = None, 0
        if scenario is not None:
            (image, own), seed = self.start(scenario, own), scenario.seed or 0
        chosen = self.form.put(mode, checkpoint, seed, image, own)
        return gallery, scenario, self.described(scenario), *self.editor.show(scenario, LISTED), *chosen

    def show_own(
        self,
        scenario: Scenario,
        checkpoint: str | None,
        seed: int,
        image: str | None,
        own: str | None,
        origin: Origin,
    ) -> tuple:
        """A scenario that is none of the library's."""
        gallery = self.gallery.show_open(self.listed(scenario.mode), scenario)
        chosen = self.form.put(scenario.mode, checkpoint, seed, image, own)
        return gallery, scenario, self.described(scenario), *self.editor.show(scenario, origin), *chosen

    def show_broken(self, text: str, error: ScenarioError, shown: tuple, origin: Origin) -> tuple:
        """A text that is no scenario, in the editor, while the rest is as `shown`, updates for `outputs`."""
        written = self.editor.show_text(text, error, origin)
        return *shown[:3], *written, *shown[3 + len(written) :]

    def edited(self, text: str, put: bool, valid: Scenario | None, *chosen: Any) -> tuple:
        """The visitor has changed the text. put: it is to be put into the editor, too.

        valid: the last scenario that the text was; chosen: checkpoint, seed, start image and own picture.
        """
        code = Uncut(text) if put else gr.skip()
        try:
            found = self.editor.read(text)
            if not self.library.of_mode(found.mode):
                raise ScenarioError(f"{MODES[found.mode].title} is not available here; choose another mode.")
        except ScenarioError as error:
            rest = (gr.skip(),) * len(self.form.all)
            return *(gr.skip(),) * 3, code, self.editor.judge(error), *rest
        listed = self.listed(found.mode)
        same = next((it for it in listed if text_of(it) == text), None)
        gallery = self.gallery.show(listed, key_of(same)) if same else self.gallery.show_open(listed, found)
        form = self._followed(found, valid, *chosen)
        return gallery, found, self.described(found), code, self.editor.judge(found), *form

    def _followed(
        self,
        found: Scenario,
        before: Scenario | None,
        checkpoint: str,
        seed: Any,
        image: str | None,
        own: str | None,
    ) -> tuple:
        """Updates for the form: what has changed in the text changes there, the rest stays chosen."""
        if before is None or before.mode != found.mode:
            return self.form.put(found.mode, None, found.seed or 0, *self.start(found, own))
        if (found.image, found.seed) == (before.image, before.seed):
            return (gr.skip(),) * len(self.form.all)
        if found.image != before.image:
            image, own = self.start(found, own)
        if found.seed != before.seed:
            seed = found.seed or 0
        return self.form.put(found.mode, checkpoint, seed, image, own)


def words_of(kind: str, text: str) -> gr.HTML:
    """Where a scenario is described; kind: the chosen one, or the running one."""
    return gr.HTML(
        text,
        apply_default_css=False,
        elem_classes=f"scenario {kind}",
        js_on_load=on_load("ui/scenarios/chart.js"),
    )


def described(scenario: Scenario | None, lending: Lending | None = None) -> str:
    """A scenario in words and lanes, as HTML; with `lending` also for how long a run is lent a GPU, if so."""
    if scenario is None:
        return problem("There are no built-in scenarios for this world yet. Use a file of your own.")
    frames = len(scenario.track)
    lent = lending and lending.run_seconds(frames)
    cost = f". Running it borrows a GPU for about {lent} s" if lent else ""
    return (
        f"<h2>{escape(scenario.title)}</h2><p>{escape(scenario.description)}</p>"
        f"<p class=quiet>{MODES[scenario.mode].title}, {frames / FPS:.1f} s, {frames} frames{cost}</p>"
        f'<div data-track="{track_key(scenario.track)}">'
        f"{track_chart.draw(scenario.track, scenario.marks)}</div>"
    )


def problem(text: str) -> str:
    return f'<p class="problem" role="alert">{escape(text)}</p>'
