"""One play or scenario from Start to its films: what both tabs do with a session."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable

import gradio as gr

from mgdemo.picture import PictureError
from mgdemo.replay import open_replay
from mgdemo.serving import FINAL, PlayRequest, PlayService, Result, ServingError, Session, Status
from mgdemo.ui.choices import QUIET, ChoiceError
from mgdemo.ui.desk import Desk
from mgdemo.ui.share import Shared

LIVE = "gradio_api/live"  # where the service's WebSocket is
log = logging.getLogger(__name__)


class Films:
    """What a play leaves: its films, its scenario and a link to it all, which `desk` copies.

    Laid out in the Gradio context where this is made.
    """

    def __init__(self, desk: Desk):
        with gr.Column(visible=False, elem_classes="films") as self.box:
            self.words = gr.HTML(apply_default_css=False)
            self.video = gr.Video(show_label=False, interactive=False, buttons=[])
            with gr.Row(elem_classes="tight"):
                self.plain = gr.DownloadButton("Save film", size="sm", min_width=80)
                self.keys = gr.DownloadButton("Save with keys", size="sm", min_width=80)
                self.scenario = gr.DownloadButton("Save scenario", size="sm", min_width=80)
                self.link = gr.Button("Copy link", size="sm", min_width=80)
            self.branches = gr.File(
                label="Films of the other branches", file_count="multiple", interactive=False
            )
        self.film = gr.State(None)
        desk.offer(self.link, _shared, [self.film])

    @property
    def outputs(self) -> list[gr.components.Component]:
        buttons = [self.plain, self.keys, self.scenario]
        return [self.box, self.words, self.video, *buttons, self.branches, self.film]

    def show(self, result: Result | None) -> tuple:
        """Updates for `outputs`: the films of a result, or nothing."""
        if result is None:
            return gr.Column(visible=False), *(gr.skip(),) * (len(self.outputs) - 1)
        seconds = result.frames / result.fps
        return (
            gr.Column(visible=True),
            f"<h2>Your film</h2><p>{seconds:.1f} s, {result.frames} frames</p>",
            str(result.overlay_mp4 or result.mp4),
            *(
                gr.DownloadButton(value=path and str(path), interactive=path is not None)
                for path in (result.mp4, result.overlay_mp4, result.scenario)
            ),
            gr.File([str(path) for path in result.branches], visible=bool(result.branches)),
            str(result.mp4),
        )


def _shared(film: str) -> Shared:
    """The play in a film, for a link. Raises ScenarioError."""
    replay = open_replay(film)
    scenario = replay.scenario
    return Shared(scenario.mode, replay.checkpoint or "", scenario.image, scenario.seed or 0, scenario)


def connect(
    service: PlayService,
    screen: gr.HTML,
    films: Films,
    request: Callable[..., PlayRequest],
    inputs: list[gr.components.Component],
) -> None:
    """Lets Start and Stop of the player `screen` run sessions. `request` makes one from the `inputs`."""

    async def start(*values) -> AsyncIterator[tuple]:
        async for play, result in follow(lambda: service.open(request(*values))):
            yield gr.HTML(play=play), *films.show(result)

    async def resume(event: gr.EventData) -> AsyncIterator[tuple]:
        async for play, result in follow(lambda: service.get(event._data.get("token") or "")):
            yield gr.HTML(play=play), *films.show(result)

    async def stop(event: gr.EventData) -> None:
        session = service.get(event._data.get("token") or "")
        if session:
            await session.stop()

    quiet = QUIET | {"concurrency_limit": None}  # who may play is decided in the service
    screen.start(start, inputs, [screen, *films.outputs], trigger_mode="once", **quiet)
    screen.resume(resume, None, [screen, *films.outputs], trigger_mode="once", **quiet)
    screen.stop(stop, **quiet)


async def follow(session_of: Callable[[], Session | None]) -> AsyncIterator[tuple[dict, Result | None]]:
    """Yields what the player reads of the session that `session_of()` gives, and at last its films.

    When the page goes before that, the session is left to come back to.
    """
    play = {"id": secrets.token_hex(8), "token": None, "path": None, "live": False, "beat": 0}
    session, over = None, False

    def failed(text: str) -> tuple[dict, None]:
        return play | {"status": {"state": "error", "text": text}}, None

    try:
        session = await asyncio.to_thread(session_of)
        if session is None:
            raise ServingError("Your play is over. Press Start to play again.")
        session.come()
        play |= {"token": session.token, "path": f"{LIVE}/{session.token}", "live": session.live}
        async for status in session.statuses():
            play["beat"] += 1
            over = status.state in FINAL
            yield play | {"status": _plain(status)}, status.result
    except (ChoiceError, PictureError, ServingError) as error:
        yield failed(str(error))
    except Exception:
        log.exception("A play failed.")
        yield failed("The server had a problem of its own, which its log describes. Start again.")
    finally:
        if session and over:
            await session.close()
        elif session:
            session.leave()


def _plain(status: Status) -> dict:
    fields = ("state", "text", "progress", "frames", "fps", "seconds_left")
    plain = {name: getattr(status, name) for name in fields}
    if status.result:
        plain["text"] += " Your film is ready."
    return plain
