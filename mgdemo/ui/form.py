"""The column where a visitor chooses what to play: mode, checkpoint, start image and seed."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import gradio as gr
from gradio.blocks import Block
from gradio.components import Component
from PIL import Image

from mgdemo.actions import MODES
from mgdemo.checkpoints import Entry
from mgdemo.errors import UserError
from mgdemo.scenario import Scenario
from mgdemo.serving import SessionRequest
from mgdemo.ui import player
from mgdemo.ui.chosen import Chosen, choose, offered
from mgdemo.ui.events import AS_SENT, EACH, IN_TURN
from mgdemo.ui.file_turns import EVENT
from mgdemo.ui.files import PICTURES, file_button, kept_picture, sent_picture
from mgdemo.ui.library import Library, path_of
from mgdemo.ui.share import Shared
from mgdemo.ui.start_images import start_images, update

STRANGE = (
    "This small world knows only its own places: your picture follows the keys for a moment, then dissolves "
    "or turns into one of them."
)


class SessionForm:
    """The controls of the column, laid out in the Gradio context in which this is made.

    `image` holds the path of the chosen start image, `own` that of the visitor's upload; either may be None.
    The `image` to begin with is one that ships, else the first that does.
    """

    def __init__(
        self,
        library: Library,
        *,
        live: bool,
        start: str,
        image: str | None = None,
        after_mode: tuple[gr.Component, ...] = (),
        note: str = "",
    ):
        """note: what there is to say about every checkpoint, a sentence."""
        self.note = note
        self.library, self.live, self.start = library, live, start
        first = library.first()
        modes = [mode for mode in MODES.values() if library.of_mode(mode.name)]
        images = [str(path) for path in library.start_images(first.name)]
        if image not in images:
            image = images[0] if images else None
        self.mode = gr.Radio(
            [(m.title, m.name) for m in modes], value=first.mode, label="World", elem_classes="modes"
        )
        for component in after_mode:
            component.render()
        self.checkpoint = gr.Dropdown(
            self._titles(first.mode), value=first.name, label="Checkpoint", filterable=False
        )
        self.about = gr.HTML(_about(first, note), apply_default_css=False)
        self.images = start_images(images, image)
        self.hint = gr.HTML(visible=False, apply_default_css=False)
        with gr.Row(elem_classes="tight"):
            self.upload = file_button("Use your own picture", PICTURES)
            self.seed = gr.Number(0, label="Seed", min_width=90, elem_classes="seed")
        self.link = gr.Button("Copy link to these settings", size="sm", elem_classes="link")
        self.own = gr.State(None)
        self.image = gr.State(image)

    @property
    def first_setup(self) -> dict:
        """What the player shows when the page opens."""
        return self.setup(self.checkpoint.value, self.image.value)

    @property
    def chosen(self) -> list[Block]:
        """What `request` and `shared` take: the fields of `Chosen`."""
        return [self.mode, self.checkpoint, self.image, self.images, self.own, self.seed]

    @property
    def all(self) -> list[Component]:
        """All that `put` updates; after `connect`."""
        return [self.mode, self.seed, self.own, self.checkpoint, *self.shown]

    def connect(self, screen: gr.HTML) -> None:
        """Shows what is chosen in the player `screen`. A new mode is left to `follow`."""
        self.shown = [self.about, self.images, self.hint, self.image, screen]
        chosen = [self.checkpoint, self.image, self.images, self.own]
        self.checkpoint.input(self._with_picked(self.choose_checkpoint), chosen, self.shown, **IN_TURN)
        picked = [self.checkpoint, self.images, self.own]
        shown = [self.hint, self.image, screen, self.images]
        self.images.chosen(self.choose_image, picked, shown, **IN_TURN)
        sent = AS_SENT | EACH | EVENT
        self.upload.chosen(self.choose_file, self.checkpoint, [self.own, *self.shown], **sent)

    def follow(self, event: Callable) -> None:
        """Brings checkpoint and start image in line with the mode and the image set before `event`."""
        inputs = [self.mode, self.checkpoint, self.image, self.images, self.own]
        event(self._with_picked(self.choose_mode), inputs, [self.checkpoint, *self.shown], **IN_TURN)

    def _with_picked(self, choose: Callable[..., tuple]) -> Callable[..., tuple]:
        """The handler, which takes a start image that was picked while another choice was on its way."""

        def handler(*values) -> tuple:
            *others, checkpoint, image, picked, own = values
            return choose(*others, checkpoint, self.library.picked(picked, checkpoint, own) or image, own)

        return handler

    # The handlers return updates for the components named above.

    def choose_mode(self, mode: str, checkpoint: str, image: str | None, own: str | None) -> tuple:
        checkpoint = self.library.fitting(checkpoint, mode)
        checkpoints = gr.Dropdown(self._titles(mode), value=checkpoint)
        return checkpoints, *self.choose_checkpoint(checkpoint, image, own)

    def choose_checkpoint(self, checkpoint: str, image: str | None, own: str | None) -> tuple:
        entry, paths = self.library.entry(checkpoint), self.library.images(checkpoint, own)
        image = offered(image, paths)
        uploaded = own if own in paths[len(self.library.start_images(checkpoint)) :] else None
        shown = self.library.picture(uploaded, checkpoint).picture if uploaded else None
        return (
            _about(entry, self.note),
            update(paths, image, shown),
            self._hint(entry, image),
            image,
            gr.HTML(setup=self.setup(checkpoint, image)),
        )

    def put(self, mode: str, checkpoint: str | None, seed: int, image: str | None, own: str | None) -> tuple:
        """Updates for `all`: everything chosen at once. A checkpoint not known here gives way to the best."""
        if checkpoint not in [entry.name for entry in self.library.of_mode(mode)]:
            checkpoint = self.library.best(mode)
        return mode, seed, own, *self.choose_mode(mode, checkpoint, image, own)

    def keep(self, picture: Image.Image) -> str:
        """A file of a picture that came in another one."""
        return str(kept_picture(picture))

    def choose_image(self, checkpoint: str, picked: object, own: str | None) -> tuple:
        image = self.library.picked(picked, checkpoint, own)
        hint = self._hint(self.library.entry(checkpoint), image)
        return hint, image, gr.HTML(setup=self.setup(checkpoint, image)), gr.HTML(heard=picked)

    def choose_file(self, checkpoint: str, event: gr.EventData) -> tuple:
        """A picture that the page has sent is the start image from here on."""
        try:
            path = str(sent_picture(event._data))
            return path, *self.choose_checkpoint(checkpoint, path, path)
        except UserError as error:
            gr.Warning(escape(str(error)))
            return (gr.skip(),) * (1 + len(self.shown))

    def request(self, *chosen, scenario: Scenario | None = None) -> SessionRequest:
        """See `Chosen`; chosen: the values of `self.chosen`."""
        return Chosen(*chosen).request(self.library, scenario)

    def shared(self, *chosen, scenario: Scenario | None = None) -> Shared:
        """See `Chosen`; chosen: the values of `self.chosen`."""
        return Chosen(*chosen).shared(self.library, scenario)

    def setup(self, checkpoint: str, image: str | None) -> dict:
        """What the player shows for these choices."""
        entry = self.library.entry(checkpoint)
        shipped = self.library.start_images(checkpoint)
        opens = self.live and shipped and image == str(shipped[0])
        path = path_of(image)
        blocked = "" if path else choose(image)
        if not entry.available:
            blocked = (
                f"{entry.title} is not on this machine. Download it there with "
                f"“python -m mgdemo download --mode {entry.mode}”, then choose it again."
            )
        return player.setup(
            MODES[entry.mode],
            (entry.config.height, entry.config.width),
            self.library.picture(path, checkpoint).picture if path else None,
            checkpoint=checkpoint,
            live=self.live,
            start=self.start,
            blocked=blocked,
            loop=self._loop(checkpoint) if opens else None,
            image=(self.library.reference(path, checkpoint) or path) if path else None,
        )

    def _loop(self, checkpoint: str) -> str | None:
        path = self.library.loop(checkpoint)
        return path and f"{player.LOOPS}/{checkpoint}.mp4?v={path.stat().st_mtime:.0f}"

    def _titles(self, mode: str) -> list[tuple[str, str]]:
        return [
            (entry.title + ("" if entry.available else " (not downloaded)"), entry.name)
            for entry in self.library.of_mode(mode)
        ]

    def _hint(self, entry: Entry, image: str | None) -> gr.HTML:
        """What becomes of a picture that is none of an embedded world's own; else nothing."""
        path = path_of(image)
        own = path and not self.library.reference(path, entry.name)
        words = STRANGE
        if published := next((e for e in self.library.of_mode(entry.mode) if not e.embedded), None):
            words += f" “{escape(published.title)}” can continue from any picture: "
            if published.available:
                words += "choose it above."
            else:
                words += f"<code>python -m mgdemo download --mode {entry.mode}</code> downloads it."
        return gr.HTML(f'<p class="about" role="status">{words}</p>', visible=bool(entry.embedded and own))


def _about(entry: Entry, note: str) -> str:
    needs = f"Needs {entry.needs}." if entry.needs else ""
    size = f"Shown and recorded at {entry.config.width}×{entry.config.height} pixels."
    return f'<p class="about">{escape(" ".join(filter(None, (entry.config.note, needs, size, note))))}</p>'


def say_replaced(library: Library, what: str, mode: str, checkpoint: str | None) -> None:
    """Says so if the checkpoint of a link or film is not here."""
    if checkpoint and checkpoint not in [entry.name for entry in library.of_mode(mode)]:
        best = library.entry(library.best(mode))
        words = (
            f"This {what}'s checkpoint, {checkpoint[:80]}, isn't available here. Using {best.title} instead."
        )
        gr.Info(escape(words))
