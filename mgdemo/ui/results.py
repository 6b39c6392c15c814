"""The panel with what a session leaves: its films, its scenario and a link."""

from __future__ import annotations

import gradio as gr

from mgdemo.replay import open_replay
from mgdemo.serving import Recording
from mgdemo.ui.links import Links
from mgdemo.ui.share import Shared


class Results:
    """What a play leaves: its films, its scenario and a link to it all, which `links` copies.

    Laid out in the Gradio context where this is made.
    """

    def __init__(self, links: Links):
        with gr.Column(visible=False, elem_classes="results") as self.box:
            self.words = gr.HTML(apply_default_css=False)
            self.video = gr.Video(show_label=False, interactive=False, buttons=[])
            with gr.Row(elem_classes="tight"):
                self.plain = gr.DownloadButton("Save film", size="sm", min_width=80)
                self.keys = gr.DownloadButton("Save with keys", size="sm", min_width=80)
                self.scenario = gr.DownloadButton("Save scenario", size="sm", min_width=80)
                self.link = gr.Button("Copy link", size="sm", min_width=80)
            self.branches = gr.File(
                label="Results of the other branches", file_count="multiple", interactive=False
            )
        self.film = gr.State(None)
        links.offer(self.link, _shared, [self.film])

    @property
    def outputs(self) -> list[gr.components.Component]:
        buttons = [self.plain, self.keys, self.scenario]
        return [self.box, self.words, self.video, *buttons, self.branches, self.film]

    def show(self, result: Recording | None) -> tuple:
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
            gr.File([str(item.write().mp4) for item in result.branches], visible=bool(result.branches)),
            str(result.mp4),
        )


def _shared(film: str) -> Shared:
    """The play in a film, for a link. Raises ScenarioError."""
    replay = open_replay(film)
    scenario = replay.scenario
    return Shared(scenario.mode, replay.checkpoint or "", scenario.image, scenario.seed or 0, scenario)
