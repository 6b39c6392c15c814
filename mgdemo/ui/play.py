"""The Play tab: choose a world, steer it, keep the film."""

from __future__ import annotations

import gradio as gr

from mgdemo.serving import PlayService
from mgdemo.ui import run
from mgdemo.ui.choices import Choices, Shelf
from mgdemo.ui.desk import Desk
from mgdemo.ui.player import player


def play_tab(service: PlayService, shelf: Shelf, desk: Desk) -> Choices:
    """Lays the tab out in the current Gradio context; its choices."""
    with gr.Row(elem_classes="halves"):
        with gr.Column(scale=7, min_width=480):
            stage = gr.Column()
        with gr.Column(scale=3, min_width=300):
            films = run.Films(desk)
            choices = Choices(shelf, live=True, start="Start")
    with stage:
        screen = player(choices.first_setup, "play")
    choices.connect(screen)
    choices.follow(choices.mode.input)
    chosen = [choices.checkpoint, choices.image, choices.seed]
    desk.offer(choices.link, choices.shared, chosen)
    run.connect(service, screen, films, choices.request, chosen)
    return choices
