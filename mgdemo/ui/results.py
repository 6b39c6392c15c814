"""The panel with the films of a visit: that of the last session, its branches, and earlier ones."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.blocks import Block

from mgdemo.references import SHIPPED
from mgdemo.replay import open_replay
from mgdemo.serving import Recording
from mgdemo.serving.limits import several
from mgdemo.ui.calls import Calls, TooManyCalls
from mgdemo.ui.events import AS_SENT, CHOICE
from mgdemo.ui.links import Links
from mgdemo.ui.login import whoever
from mgdemo.ui.share import Shared
from mgdemo.video.films import Branch, RecordingGone

BRANCHES = 2  # films of branches made at the same time; the other processes stay free for other films

FORGOTTEN = "The server no longer knows this page's films: load the page again."

MAKING = Calls(1, "film", "being made")


@dataclass(frozen=True)
class Left:
    """What a session left."""

    token: str
    recording: Recording

    def films(self, number: int) -> dict[str, tuple[str, Recording | Branch]]:
        """Each film by a key, with its label; number: how many sessions have ended after this one."""
        recording = self.recording
        name = f"Earlier film ({recording.mp4.stem})" if number else "Your film"
        branch = f", branch {recording.number}" if recording.number else ""
        films = {"": (f"{name}{branch}: {recording.seconds:.1f} s", recording)}
        films |= {str(each.number): (each.label, each) for each in recording.branches}
        return {f"{self.token} {key}": film for key, film in films.items()}


class Results:
    """Laid out in the Gradio context where this is made. `films` (list[Left]) has the newest first."""

    def __init__(self, links: Links, keep_hours: float):
        """keep_hours: for which films are kept; 0: as long as there is room."""
        self.kept = f"<p>{kept_words(keep_hours)}</p>"
        with gr.Column(visible=False, elem_classes="results") as self.box:
            self.words = gr.HTML(apply_default_css=False)
            self.choice = gr.Dropdown([], label="Film", filterable=False, visible=False)
            self.video = gr.Video(show_label=False, interactive=False, buttons=[])
            with gr.Row(elem_classes="tight"):
                self.plain = gr.DownloadButton("Save film", size="sm", min_width=80)
                self.keys = gr.DownloadButton("Save with keys", size="sm", min_width=80)
                self.scenario = gr.DownloadButton("Save scenario", size="sm", min_width=80)
                self.link = gr.Button("Copy link to film", size="sm", min_width=80)
            self.delete = gr.Button("Delete my recording", size="sm", elem_classes="link")
        self.films = gr.State([])
        self.film = gr.State(None)
        links.offer(self.link, _shared, [self.film])
        few: dict[str, Any] = {"concurrency_id": "branches", "concurrency_limit": BRANCHES}
        self.choice.input(self.choose, [self.films, self.choice], self.panel, **AS_SENT | CHOICE, **few)

    @property
    def panel(self) -> list[Block]:
        """What shows one film."""
        return [self.words, self.video, self.plain, self.keys, self.scenario, self.film]

    @property
    def outputs(self) -> list[Block]:
        return [self.films, self.box, self.choice, *self.panel]

    def show(self, films: list[Left]) -> tuple:
        """Updates for `outputs`: all films, the newest of them in view."""
        offered = _offered(films)
        if not offered:
            return films, gr.Column(visible=False), *(gr.skip(),) * (len(self.outputs) - 2)
        choice = gr.Dropdown(
            [(label, key) for key, (label, _) in offered.items()],
            value=next(iter(offered)),
            visible=len(offered) > 1,
        )
        return films, gr.Column(visible=True), choice, *self.choose(films, next(iter(offered)))

    def choose(self, films: list[Left], key: str) -> tuple:
        """Updates for `panel`. The files of a branch are made when it is chosen."""
        offered = _offered(films)
        if str(key) not in offered:
            gr.Warning(FORGOTTEN)
            return (gr.skip(),) * len(self.panel)
        label, film = offered[str(key)]
        try:
            with MAKING.one(whoever()) if isinstance(film, Branch) else nullcontext():
                recording = film.write() if isinstance(film, Branch) else film
        except (RecordingGone, TooManyCalls) as error:
            gr.Warning(escape(str(error)))
            return (gr.skip(),) * len(self.panel)
        files = [recording.mp4, recording.overlay_mp4, recording.scenario]
        return (
            f"<h2>{escape(label.partition(':')[0])}</h2>"
            f"<p>{recording.seconds:.1f} s, {recording.frames} frames</p>{self.kept}",
            str(recording.overlay_mp4 or recording.mp4),
            *(gr.DownloadButton(value=path and str(path), interactive=path is not None) for path in files),
            str(recording.mp4),
        )


def kept_words(hours: float) -> str:
    """How long a film stays on the server."""
    if not hours:
        return "It stays on this server as long as there is room: save what you want to keep."
    days = round(hours / 24)
    time = several(days, "day") if days > 1 else several(max(1, round(hours)), "hour")
    return f"It stays on this server for {time} at most, less when room is short: save what you want to keep."


def _offered(films: list[Left]) -> dict[str, tuple[str, Recording | Branch]]:
    """Every film of the page by a key, with its label."""
    return {key: film for number, left in enumerate(films) for key, film in left.films(number).items()}


def _shared(film: str) -> Shared:
    """The session in a film, for a link. Raises ScenarioError."""
    replay = open_replay(film)
    scenario = replay.scenario
    image = scenario.image if (scenario.image or "").startswith(SHIPPED) else None  # one's own is in no link
    return Shared(scenario.mode, replay.checkpoint or "", image, scenario.seed or 0, scenario)
