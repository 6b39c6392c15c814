"""The start images to choose from, as one group of radio buttons with names."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import gradio as gr
from PIL import Image

from mgdemo.ui.modules import on_load

WIDTH = 240  # of a thumbnail, in pixels
OWN = "Your own picture"
OWN_KEY = "own"  # no file's name


def start_images(paths: list[str], selected: str | None) -> gr.HTML:
    """The group; its value is the `keys` of the selected one or None, and it has the event `chosen`."""
    return gr.HTML(
        **_shown(paths, selected),
        heard=None,
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
        {"key": key, "name": name_of(path), "src": _thumbnail(path, Path(path).stat().st_mtime)}
        for key, path in keys(shipped, None).items()
    ]
    if own:
        images.append({"key": OWN_KEY, "name": OWN, "src": _data_url(own)})
    picked = keys(shipped, paths[-1] if own else None)
    value = next((key for key, path in picked.items() if path == selected), None)
    return {"images": images, "value": value, "visible": bool(paths)}


def keys(shipped: Sequence[str], own: str | None) -> dict[str, str]:
    """The paths by what the page calls them. own: of the visitor's picture."""
    return {Path(path).name: path for path in shipped} | ({OWN_KEY: own} if own else {})


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
