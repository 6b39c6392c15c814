"""The player component: a `gr.HTML` whose own JavaScript modules show pictures and send input."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from functools import cache
from pathlib import Path

import gradio as gr
from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from mgdemo.actions import Mode

HERE = Path(__file__).parent
LOOPS = "gradio_api/loops"
# The page may lie behind a path prefix, which only Gradio's configuration knows. Gradio lets Python listen to
# the events that it finds named here.
JS_ON_LOAD = """
  const events = EVENTS;
  const root = (window.gradio_config?.root || document.baseURI).replace(/^https?:/, location.protocol);
  import(root.split(/[?#]/)[0].replace(/[/]*$/, "/MODULES/SCRIPT"))
    .then((module) => module.mount(element, { trigger, props, watch, upload }))
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


def on_load(script: str, *events: str) -> str:
    """The JavaScript of a `gr.HTML` that is run by a module of this folder and has events of its own."""
    return (
        JS_ON_LOAD.replace("EVENTS", json.dumps(events))
        .replace("MODULES", _modules_path())
        .replace("SCRIPT", script)
    )


def player(setup: dict, elem_id: str) -> gr.HTML:
    """A player showing `setup` (see the function of that name). It has the events `start`, `stop` and
    `resume`: the page was loaded anew (Gradio does that after a lost line) and its play may still be there.

    Change it by `gr.HTML(setup=…)` and `gr.HTML(play=…)`; the two don't disturb each other. `stop` and
    `resume` carry the token of the play in their data.
    """
    return gr.HTML(
        setup=setup,
        play=None,
        elem_id=elem_id,
        html_template=(HERE / "player.html").read_text("utf-8"),
        css_template=(HERE / "player.css").read_text("utf-8"),
        js_on_load=on_load("player.js", "start", "stop", "resume"),
        apply_default_css=False,
    )


def setup(
    mode: Mode,
    size: tuple[int, int],
    picture: Image.Image | None,
    *,
    live: bool,
    start: str,
    blocked: str = "",
    loop: str | None = None,
) -> dict:
    """What the player shows before a play.

    size: (height, width) of the world's pictures; picture: the start image, cropped as the world sees it.
    live: the visitor steers (else the pads only show what a scenario does); start: the words on the button;
    blocked: why it cannot be pressed, a sentence with a cure; loop: where a film is that moves the start
    image.
    """
    height, width = size
    poster = None
    if picture:
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=90)
        poster = "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
    return {
        "mode": mode.to_json(),
        "poster": poster,
        "width": width,
        "height": height,
        "live": live,
        "start": start,
        "blocked": blocked,
        "loop": loop,
    }
