"""Files that visitors bring: the button that asks for one, and where what was sent lies."""

from __future__ import annotations

from html import escape
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from mgdemo.errors import UserError
from mgdemo.replay import Replay, open_replay, open_tags
from mgdemo.ui.modules import on_load

PICTURES = "image/*,.heic,.heif,.avif,.jfif"
REPLAYS = ".yaml,.yml,.mp4"
PROBLEMS = {
    "kind": "cannot be opened here: drop a film or a scenario that was made here, or a picture.",
    "size": "is larger than 40 MB: choose a smaller one.",
    "connection": "did not reach the server: try again.",
}


class FileError(UserError):
    """A file that did not arrive; the message says why and what to do."""


def file_button(label: str, accept: str, **options) -> gr.HTML:
    """A button with the event `chosen`, whose data `sent` and `sent_replay` read."""
    return gr.HTML(
        html_template=f'<button type="button">{escape(label)}</button>'
        f'<input type="file" accept="{escape(accept)}" hidden aria-hidden="true" tabindex="-1">',
        js_on_load=on_load("ui/player/file_button.js", "chosen"),
        apply_default_css=False,
        elem_classes="file-button",
        **options,
    )


def sent(data: dict) -> Path:
    """The file that the page says it has sent. Raises FileError."""
    path = uploaded(data.get("path"))
    if path is None:
        problem = data.get("problem")
        raise FileError(f"{name_of(data)} {PROBLEMS.get(str(problem), PROBLEMS['connection'])}")
    return path


def sent_replay(data: dict) -> Replay:
    """The scenario, or the film by its tags, that the page has sent. Raises FileError and ScenarioError."""
    path = sent(data)
    return open_tags(path, name_of(data)) if path.suffix == ".json" else open_replay(path, alone=True)


def name_of(data: dict) -> str:
    """What the visitor calls the file."""
    name = data.get("name")
    return name[:200] if isinstance(name, str) and name else "The file"


def uploaded(path: object) -> Path | None:
    """The file at a path that a page says it has sent; None if it is no such file."""
    if not isinstance(path, str) or not path:
        return None
    try:
        file = Path(path).resolve()
    except ValueError:
        return None
    return file if file.is_relative_to(Path(get_upload_folder()).resolve()) and file.is_file() else None
