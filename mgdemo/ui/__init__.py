"""The page: tabs to play, to run scenarios and to compare. Knows sessions and pictures, no tensors."""

from __future__ import annotations

import gradio as gr

from mgdemo import checkpoints, scenario
from mgdemo.serving import SessionService, live_routes, open_routes, operator_routes
from mgdemo.serving.limits import DRAINING
from mgdemo.ui import api, modules, opening, operator, player, restore
from mgdemo.ui.compare import compare_tab
from mgdemo.ui.compare.bench import Bench
from mgdemo.ui.compare.routes import routes as compare_routes
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.library import Library
from mgdemo.ui.links import Links
from mgdemo.ui.login import login_button
from mgdemo.ui.page_watch import PageWatch
from mgdemo.ui.play import play_tab
from mgdemo.ui.scenarios import scenarios_tab
from mgdemo.ui.scenarios.thumbnails import Thumbnails
from mgdemo.ui.serve import Page, launch

__all__ = ["build", "launch"]

TITLE = "Matrix-Game worlds"
WORDS = "Walk, drive and run through worlds that a model generates as you play."
HOUR, DAY = 3600, 86400
MOST_EVENTS = 10_000  # that wait: visitors have limits of their own, and on ZeroGPU Gradio lets one wait


def build(service: SessionService | None = None, library: Library | None = None) -> Page:
    """The page over a service (default: one with the settings of the environment).

    library: what there is to choose from (default: what ships and what is installed).
    """
    library = library or Library(
        checkpoints.catalog, checkpoints.start_images, scenario.library, checkpoints.opening_loop
    )
    service = service or SessionService()
    first = library.first()

    def warm() -> None:
        """The engine starts while the visitor looks around."""
        if service.draining:
            gr.Warning(f"{DRAINING} Come back in a few minutes.")
        elif first.embedded and not any(worker["running"] for worker in service.health()["workers"]):
            service.warm(first.name)

    # Gradio copies what it shows into its cache; cached files older than a day are deleted.
    with Page(title=TITLE, fill_width=True, analytics_enabled=False, delete_cache=(HOUR, DAY)) as demo:
        gr.HTML(
            f"<header><h1>{TITLE}</h1><p>{WORDS}</p></header>",
            apply_default_css=False,
        )
        login_button(service.settings)
        links, thumbnails = Links(), Thumbnails(library)
        with gr.Tabs() as tabs:
            with gr.Tab("Play", id="play"):
                form = play_tab(service, library, links)
            with gr.Tab("Scenarios", id="scenarios"):
                scenarios = scenarios_tab(service, library, links, thumbnails)
            with gr.Tab("Compare", id="compare"):
                bench = Bench(service, library)
                compare = compare_tab(bench)
        opening.connect(links, tabs, form, scenarios, compare)
        restore.connect(links, tabs, form, scenarios, compare)
        demo.load(warm, **EVENT_OPTIONS)
        api.connect(service, library, bench)
    demo.queue(default_concurrency_limit=16, max_size=MOST_EVENTS)
    demo.service, demo.bench = service, bench
    loops = {entry.name: path for entry in library.catalog() if (path := library.loop(entry.name))}
    demo.trouble = PageWatch(demo).trouble
    operators = operator_routes(service, demo.trouble)
    if service.settings.operator_token:
        operators += operator.routes()
    apart = bool(service.settings.operator_port)
    demo.operator_routes = [*operators, *modules.routes()] if apart else []
    demo.live_routes = [
        *live_routes(service),
        *(open_routes(service, demo.trouble) if apart else operators),
        *modules.routes(),
        *player.routes(loops),
        thumbnails.route,
        *compare_routes(bench),
    ]
    return demo
