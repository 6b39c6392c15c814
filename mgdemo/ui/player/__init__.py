"""The player component: a `gr.HTML` whose own JavaScript modules show pictures and send input."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from mgdemo.actions import MODES, ActionTrack, Mode

HERE = Path(__file__).parent
LOOPS = "gradio_api/loops"
# The page may lie behind a path prefix, which only Gradio's configuration knows. Gradio lets Python listen to
# the events that it finds named here.
JS_ON_LOAD = """
  const events = EVENTS;
  const root = (window.gradio_config?.root || document.baseURI).replace(/^https?:/, location.protocol);
  import(root.split(/[?#]/)[0].replace(/[/]*$/, "/MODULES/SCRIPT"))
    .then((module) => module.mount(element, { trigger, props, watch, upload, options: OPTIONS }))
    .catch((error) => {
      console.error(error);
      element.querySelector(".message").textContent = "A part of the page could not be loaded: reload it.";
    });
"""


@cache
def _modules_path() -> str:
    """Where the modules are served: a new address for each version, so browsers may keep them for good."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(HERE.glob("*.js"))))
    return f"gradio_api/player/{digest.hexdigest()[:12]}"


def routes(loops: dict[str, Path]) -> list[Route]:
    """Routes for the app that serve the JavaScript modules, and `loops`: the checkpoints' opening films.

    (Starlette's StaticFiles would not find its files in an app with a root path.)
    """
    modules = {path.name: path for path in HERE.glob("*.js")}

    async def module(request: Request) -> Response:
        path = modules.get(request.path_params["name"])
        if path is None:
            return Response(status_code=404)
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        # Not by the system's table of types, which may say text/plain: browsers don't run that.
        return FileResponse(path, headers=headers, media_type="text/javascript")

    async def film(request: Request) -> Response:
        path = loops.get(request.path_params["checkpoint"])
        if path is None:
            return Response(status_code=404)
        return FileResponse(path, headers={"Cache-Control": "public, max-age=31536000, immutable"})

    return [Route(f"/{_modules_path()}/{{name}}", module), Route(f"/{LOOPS}/{{checkpoint}}.mp4", film)]


def on_load(script: str, *events: str, **options: Any) -> str:
    """The JavaScript of a `gr.HTML` that is run by a module of this folder and has events of its own.

    The `options` never change. (Of properties, an update makes Gradio forget those that it leaves out, while
    the tab has not been open.)
    """
    return (
        JS_ON_LOAD.replace("EVENTS", json.dumps(events))
        .replace("MODULES", _modules_path())
        .replace("SCRIPT", script)
        .replace("OPTIONS", json.dumps(options))
    )


def player(setup: dict, name: str, title: str) -> gr.HTML:
    """A player showing `setup` (see the function of that name), on the tab `title`.

    Its events: `start`; `resume`, of a session or film that the page had before it was loaded again (Gradio
    does that after a lost connection); `stop`, where the socket is down; `finished`: there is a film. All but
    the first carry the session's token in their data.
    Change it by `gr.HTML(setup=…)` and by `gr.HTML(session=…)`, the answer to an event; the two don't disturb
    each other. What is written with a `track_key` as `data-track` in the same tab is the chosen scenario.
    """
    return gr.HTML(
        setup=setup,
        session=None,
        elem_id=name,
        html_template=(HERE / "player.html").read_text("utf-8"),
        css_template="".join((HERE / name).read_text("utf-8") for name in ("player.css", "controls.css")),
        js_on_load=on_load(
            "player.js",
            *("start", "resume", "stop", "finished"),
            name=name,
            title=title,
            modes={mode.name: mode.to_json() for mode in MODES.values()},
        ),
        apply_default_css=False,
    )


def setup(
    mode: Mode,
    size: tuple[int, int],
    picture: Image.Image | None,
    *,
    checkpoint: str,
    live: bool,
    start: str,
    blocked: str = "",
    loop: str | None = None,
    image: str | None = None,
) -> dict:
    """What the player shows before a session.

    size: (height, width) of the world's pictures; picture: the start image, cropped as the world sees it.
    live: the visitor steers (else the pads only show what a scenario does); start: the words on the button;
    blocked: why it cannot be pressed, a sentence with a cure; loop: where a film is that moves the start
    image; checkpoint and image: what to say to `restore` when the page is loaded again.
    """
    height, width = size
    poster = None
    if picture:
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=90)
        poster = "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
    return {
        "mode": mode.name,
        "poster": poster,
        "width": width,
        "height": height,
        "live": live,
        "start": start,
        "blocked": blocked,
        "loop": loop,
        "checkpoint": checkpoint,
        "image": image,
        "choice": choice_key(checkpoint, picture) if picture else "",
    }


def choice_key(checkpoint: str, picture: Image.Image) -> str:
    """A short text that is the same for the same world from the same picture."""
    return hashlib.sha256(checkpoint.encode() + picture.tobytes()).hexdigest()[:16]


def track_key(track: ActionTrack | None) -> str:
    """The same for the same actions; "" for live sessions."""
    if track is None or not len(track):
        return ""
    track = track.padded()
    mouse = b"" if track.mouse is None else track.mouse.tobytes()
    return hashlib.sha256(track.keyboard.tobytes() + mouse).hexdigest()[:16]
