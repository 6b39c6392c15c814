"""The start images to choose from, as one group of radio buttons with names."""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from pathlib import Path

import gradio as gr
from PIL import Image

from mgdemo.ui.modules import on_load

WIDTH = 240  # of a thumbnail, in pixels
OWN = "Your own picture"


def start_images(paths: list[str], selected: str | None) -> gr.HTML:
    """The group; it has the event `chosen`, whose data hold the `index` of a picture."""
    return gr.HTML(
        **_shown(paths, selected),
        html_template='<div class="start-images" role="radiogroup" aria-label="Start image"></div>',
        js_on_load=on_load("ui/player/start_images.js", "chosen"),
        apply_default_css=False,
    )


def update(paths: list[str], selected: str | None, own: Image.Image | None = None) -> gr.HTML:
    """Shows other pictures. own: the visitor's, after those of `paths`, whose last path is its."""
    return gr.HTML(**_shown(paths, selected, own))


def _shown(paths: list[str], selected: str | None, own: Image.Image | None = None) -> dict:
    shipped = paths[:-1] if own else paths
    images = [
        {"name": name_of(path), "src": _thumbnail(path, Path(path).stat().st_mtime)} for path in shipped
    ]
    if own:
        images.append({"name": OWN, "src": _data_url(own)})
    index = paths.index(selected) if selected in paths else None
    return {"images": images, "selected": index, "visible": bool(paths)}


def name_of(path: str) -> str:
    """A start image's name in words: "Night city 2"."""
    return Path(path).stem.replace("-", " ").replace("_", " ").capitalize()


@lru_cache(256)
def _thumbnail(path: str, _changed: float) -> str:
    with Image.open(path) as image:
        return _data_url(image)


def _data_url(image: Image.Image) -> str:
    image = image.convert("RGB")
    image.thumbnail((WIDTH, WIDTH))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
