"""The player component: a `gr.HTML` whose own JavaScript modules show pictures and send input."""

from __future__ import annotations

import base64
import hashlib
import io
from pathlib import Path

import gradio as gr
from PIL import Image
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from mgdemo.actions import MODES, ActionTrack, Mode
from mgdemo.pads import mode_json
from mgdemo.ui.modules import FOREVER, on_load

HERE = Path(__file__).parent
LOOPS = "gradio_api/loops"


def routes(loops: dict[str, Path]) -> list[Route]:
    """The route that serves `loops`: the checkpoints' opening films."""

    async def film(request: Request) -> Response:
        path = loops.get(request.path_params["checkpoint"])
        return Response(status_code=404) if path is None else FileResponse(path, headers=FOREVER)

    return [Route(f"/{LOOPS}/{{checkpoint}}.mp4", film)]


def player(setup: dict, name: str, title: str) -> gr.HTML:
    """A player showing `setup` (see the function of that name), on the tab `title`.

    Its events: `start`; `lease`: its session wants a device, held while the event lasts; `resume`, of a
    session or film that the page had before it was loaded again (Gradio does so after a lost connection);
    `stop`, where the socket is down; `finished`: there is a film. All but the first carry the session's token
    in their data.
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
            "ui/player/player.js",
            *("start", "lease", "resume", "stop", "finished"),
            name=name,
            title=title,
            modes={mode.name: mode_json(mode) for mode in MODES.values()},
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
