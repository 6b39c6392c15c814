"""The Play tab: choose a world, steer it, keep the film."""

from __future__ import annotations

import gradio as gr

from mgdemo.serving import SessionService
from mgdemo.ui import sessions_ui
from mgdemo.ui.form import SessionForm
from mgdemo.ui.library import Library
from mgdemo.ui.links import Links
from mgdemo.ui.player import player
from mgdemo.ui.results import Results


def play_tab(service: SessionService, library: Library, links: Links) -> SessionForm:
    """Lays the tab out in the current Gradio context; its form."""
    with gr.Row(elem_classes="halves"):
        with gr.Column(scale=7, min_width=480):
            stage = gr.Column()
        with gr.Column(scale=3, min_width=300):
            results = Results(links, service.settings.keep_hours)
            form = SessionForm(library, live=True, start="Start", note=service.lending.note)
    with stage:
        screen = player(form.first_setup, "play", "Play")
    form.connect(screen)
    form.follow(form.mode.input)
    links.offer(form.link, form.shared, form.chosen)
    sessions_ui.connect(service, screen, results, form.request, form.chosen)
    return form
