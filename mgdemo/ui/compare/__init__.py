"""The Compare tab: choose rows and columns, run the grid, watch it in lockstep, vote, save a report."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from mgdemo.compare import player as lockstep
from mgdemo.compare.device import Device
from mgdemo.errors import UserError
from mgdemo.logs import Quiet
from mgdemo.serving.waiting import in_thread
from mgdemo.ui.compare import link
from mgdemo.ui.compare.bench import Bench
from mgdemo.ui.compare.choice import PLAIN, Choice
from mgdemo.ui.compare.form import CompareForm
from mgdemo.ui.compare.planner import Planner
from mgdemo.ui.compare.presets import PRESETS
from mgdemo.ui.compare.words import losses_of, size_of
from mgdemo.ui.events import EVENT_OPTIONS
from mgdemo.ui.failures import FAILED
from mgdemo.ui.file_turns import EVENT
from mgdemo.ui.files import name_of, sent, sent_picture
from mgdemo.ui.login import whose
from mgdemo.ui.modules import on_load
from mgdemo.ui.page_watch import DEVICE, LEASE
from mgdemo.ui.share import ShareError

HERE = Path(__file__).parent
NOTHING = {"summary": "", "problem": "", "lost": [], "choice": ""}
OPENING = {"opening": True}  # of a plan that no choice has asked for
ASKING = "Looking at what this machine computes on."
UNKNOWN_DEVICE = Device("?")
log = logging.getLogger(__name__)
log.addFilter(Quiet())


@dataclass(frozen=True)
class CompareTab:
    """What others need of the tab.

    The functions give the updates of `outputs`: `open_link` of a link's fragment, or raises ShareError;
    `restore` of what the page kept of itself before it was loaded again.
    """

    outputs: list[Component]
    open_link: Callable[[str], tuple]
    restore: Callable[[dict[str, Any]], tuple]


def compare_tab(bench: Bench) -> CompareTab:
    """Lays the tab out in the current Gradio context."""
    library = bench.library
    first = PRESETS[0].choice(library, bench.device)
    default = first if isinstance(first, Choice) else Choice()
    form = CompareForm(library, default)
    screen = gr.HTML(
        plan=NOTHING | OPENING,
        job=None,
        elem_id="compare",
        html_template=(HERE / "compare.html").read_text("utf-8"),
        css_template=lockstep.CSS.read_text("utf-8") + (HERE / "compare.css").read_text("utf-8"),
        js_on_load=on_load("ui/compare/compare.js", "opened", "run", "lease"),
        apply_default_css=False,
    )

    def device_now() -> Device:
        return bench.known_device or UNKNOWN_DEVICE

    def plan(choice: Choice) -> dict:
        """What the page shows of a choice before it is run."""
        shown = NOTHING | {"choice": choice.text()}
        try:
            plain = all(words == PLAIN for words in choice.optimizations)
            device = device_now() if plain else bench.device()
            grid = Planner(library, device, bench.service.settings.compare_frames).plan(choice)
            kept = {run.key for run in grid.all if bench.known_device and bench.store.film(run.key)}
            words = size_of(grid, bench.speeds(grid.columns), kept, bench.service.devices)
            return shown | {"summary": words + bench.cost(grid, kept), "lost": losses_of(grid)}
        except UserError as error:
            return shown | {"problem": str(error)}

    def preset_of(choice: Choice) -> str | None:
        """The preset that is chosen so, by its name."""
        return next((each.name for each in PRESETS if each.choice(library, device_now) == choice), None)

    def replan(*values) -> tuple:
        choice = form.choice(*values)
        return preset_of(choice), gr.HTML(plan=plan(choice))

    def open_(*values) -> gr.HTML:
        bench.warm()
        return gr.HTML(plan=plan(form.choice(*values)) | OPENING)

    def choose_preset(name: str, own: dict[str, str]) -> Iterator[tuple]:
        preset, same = next(each for each in PRESETS if each.name == name), (gr.skip(),) * len(form.outputs)
        if bench.known_device is None:
            yield *same, gr.HTML(plan=NOTHING | {"summary": ASKING})
        try:
            choice = preset.choice(library, bench.device)
        except UserError as error:
            choice = str(error)
        if isinstance(choice, str):  # it cannot be run here: what is chosen stays
            yield *same, gr.HTML(plan=NOTHING | {"problem": choice})
        else:
            yield *form.put(choice, own, name), gr.HTML(plan=plan(choice))

    def add(key: str) -> Callable:
        """Adds a file that the page has sent to the list of scenarios or of images."""

        def added(event: gr.EventData, *values) -> tuple:
            try:
                path = str(sent_picture(event._data) if key == "images" else sent(event._data))
            except UserError as error:
                gr.Warning(escape(str(error)))
                return *(gr.skip(),) * len(form.outputs), gr.skip()
            names = {**(values[0] or {}), path: name_of(event._data)}
            chosen = form.choice(names, *values[1:])
            listed = (*getattr(chosen, key), path)
            chosen = replace(chosen, names={**chosen.names, path: names[path]}, **{key: listed})
            return *form.put(chosen, names), gr.HTML(plan=plan(chosen))

        return added

    async def run(visitor: gr.Request, *values) -> tuple:
        choice = form.choice(*values)

        def started() -> dict:
            own = whose(visitor, bench.service.settings)
            job, token = bench.start(bench.plan(choice), visitor.session_hash or "", own)
            return _job(
                grid=job.id, token=token, fragment=link.fragment(job.id, choice), private=choice.private
            )

        try:
            answer = await in_thread(started)
        except UserError as error:
            return gr.skip(), gr.HTML(job=_job(error=str(error)))
        except Exception:
            log.exception("A comparison could not be started.")
            return gr.skip(), gr.HTML(job=_job(error=FAILED))
        return gr.Accordion(open=False), gr.HTML(job=answer)

    def lease(event: gr.EventData) -> Iterator[None]:
        """Holds a GPU for a run, on the account of the visitor whose page wants it."""
        yield from bench.lease(str(event._data.get("grid")), str(event._data.get("token")))

    options: dict[str, Any] = EVENT_OPTIONS
    changes = [each.input for each in form.lists] + [each.blur for each in (form.seeds, form.column_seeds)]
    for change in changes:
        change(replan, form.inputs, [form.preset, screen], trigger_mode="always_last", **options)
    form.preset.input(
        choose_preset, [form.preset, form.own], [*form.outputs, screen], trigger_mode="always_last", **options
    )
    opened = screen.opened(open_, form.inputs, screen, **options)
    # The choice may have changed while the device was being measured.
    few = {"concurrency_limit": 2, "concurrency_id": DEVICE}  # the others wait for the first one
    opened.then(bench.measure, **options, **few).then(open_, form.inputs, screen, **options)
    for button, key in ((form.file, "scenarios"), (form.picture, "images")):
        button.chosen(add(key), form.inputs, [*form.outputs, screen], **options, **EVENT)
    screen.run(
        run, form.inputs, [form.box, screen], trigger_mode="once", **options | {"concurrency_limit": None}
    )

    if bench.service.settings.leases:
        held = {"concurrency_limit": bench.service.lending.at_once, "concurrency_id": LEASE}
        screen.lease(lease, trigger_mode="multiple", **EVENT_OPTIONS, **held)

    outputs = [form.box, *form.outputs, screen]

    def put(choice: Choice | None, **job) -> tuple:
        """Updates for `outputs`."""
        chosen = choice or default
        answer = gr.HTML(plan=plan(chosen), job=_job(**job) if job.get("grid") else None)
        updates = form.put(chosen, {}, preset_of(chosen))
        return gr.Accordion(open=not job.get("grid")), *updates, answer

    def open_link(fragment: str) -> tuple:
        opened = link.parse(fragment)
        bench.warm()
        plain = fragment.partition(link.AT)[0]
        return put(
            opened.choice, grid=opened.grid, fragment=plain, at=opened.at, private=opened.choice is None
        )

    def restore(kept: dict[str, Any]) -> tuple:
        try:
            choice = Choice.read(str(kept.get("choice")))
        except (ValueError, TypeError):
            choice = None
        try:
            fragment = str(kept.get("fragment"))
            opened = link.parse(fragment)
        except ShareError:
            return put(choice)
        return put(
            choice,
            grid=opened.grid,
            token=str(kept.get("token") or ""),
            fragment=fragment,
            blind=kept.get("blind") is True,
            at=str(kept.get("at") or "")[: link.MAX_AT],
            private=opened.choice is None,
        )

    return CompareTab(outputs, open_link, restore)


def _job(**fields: object) -> dict:
    """What the page learns of a grid; the same again is news, too."""
    return {"id": secrets.token_hex(8), **fields}
