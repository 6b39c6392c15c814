"""Files that visitors bring: the button that asks for one, and where what was sent lies."""

from __future__ import annotations

import secrets
from html import escape
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from mgdemo.errors import UserError
from mgdemo.picture_process import open_apart
from mgdemo.replay import SCENARIOS, Replay, open_replay, open_tags
from mgdemo.ui.file_turns import FileTurns
from mgdemo.ui.login import whoever
from mgdemo.ui.modules import on_load

PICTURES = "image/*,.heic,.heif,.avif,.jfif"
REPLAYS = ".yaml,.yml,.mp4"
KEPT = "mgdemo-pictures"  # the folder of pictures that can be opened without care
PROBLEMS = {
    "kind": "cannot be opened here: drop a film or a scenario that was made here, or a picture.",
    "size": "is larger than 40 MB: choose a smaller one.",
    "connection": "did not reach the server: try again.",
}

TURNS = FileTurns()


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
    """The scenario, or the film by its tags, that the page has sent. Raises as `replay_at`."""
    return replay_at(sent(data), name_of(data))


def replay_at(path: Path, name: str) -> Replay:
    """The scenario or the tags in a file that a page has sent, which the visitor calls `name`.

    Films are not read here: a few bytes of a false one make FFmpeg fill the memory. Their tags come from the
    page. Raises FileError, ScenarioError and NoTurn.
    """
    if path.suffix == ".json":
        with TURNS.one(name, whoever()):
            return open_tags(path, name)
    if path.suffix.lower() not in SCENARIOS:
        raise FileError(f"{name} {PROBLEMS['kind']}")
    return open_replay(path, alone=True)


def sent_picture(data: dict) -> Path:
    """The picture that the page has sent, in a file of our own. Raises FileError, PictureError and NoTurn."""
    path, name = sent(data), name_of(data)
    try:
        with TURNS.one(name, whoever()):
            return kept_picture(open_apart(path, name))
    except OSError as error:
        raise FileError(f"{name} {PROBLEMS['connection']}") from error
    finally:
        path.unlink(missing_ok=True)  # with all that it says of its maker


def kept_picture(picture: Image.Image) -> Path:
    """A visitor's picture in a file whose name nobody guesses."""
    folder = Path(get_upload_folder()).resolve() / KEPT
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{secrets.token_hex(16)}.png"
    picture.save(path, compress_level=1)
    return path


def picture_at(path: object) -> Path | None:
    """The picture at a path that a page says it was given; None if it is no such picture."""
    file = uploaded(path)
    return file if file is not None and file.parent.name == KEPT else None


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
