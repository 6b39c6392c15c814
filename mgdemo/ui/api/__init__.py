"""What other programs can ask for: endpoints with types, and the same as MCP tools where that is switched on.

Through the same queue and limits as visitors. The docstrings of the functions are what programs read.
"""

# No `annotations` from __future__ here: Gradio reads the types of what is returned from the signatures.

import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
from gradio.events import api

from mgdemo.errors import WENT_WRONG, UserError
from mgdemo.logs import Quiet
from mgdemo.scenario import ScenarioError
from mgdemo.serving import SessionService
from mgdemo.serving.waiting import in_thread
from mgdemo.ui.api.comparing import compared, files_of, grid_of
from mgdemo.ui.api.listening import while_read
from mgdemo.ui.api.listing import Catalog, ScenarioEntry, checkpoint_entries, optimizations_on, scenario_entry
from mgdemo.ui.api.replaying import replayed, request_of, scenario_of
from mgdemo.ui.calls import Calls
from mgdemo.ui.compare.bench import Bench
from mgdemo.ui.library import Library
from mgdemo.ui.login import whose
from mgdemo.ui.page_watch import SLOW_CALLS
from mgdemo.ui.scenarios.editor import verdict

AT_ONCE = 8  # calls of programs that take long; each holds one of the page's job slots
FAILED = WENT_WRONG

log = logging.getLogger(__name__)
log.addFilter(Quiet())


def connect(service: SessionService, library: Library, bench: Bench) -> None:
    """Adds the endpoints in the current Gradio context."""

    calls, patience = Calls(service.settings.visitor_sessions), service.settings.connect_seconds

    def catalog() -> Catalog:
        """What there is to play: checkpoints with their controls and start images, and optimizations.

        Returns:
            A dictionary with "checkpoints" and "optimizations"
        """
        return {"checkpoints": checkpoint_entries(library), "optimizations": optimizations_on(bench.device())}

    def scenarios(mode: str = "") -> list[ScenarioEntry]:
        """The scenarios that ship, with their text.

        Args:
            mode: universal, gta_drive or templerun; empty for all of them

        Returns:
            A list of dictionaries with name, mode, title, description, seconds, frames, marks and yaml
        """
        modes = library.scenarios()
        if mode and mode not in list(modes):  # of any type
            raise gr.Error(
                f"There is no mode {str(mode)[:40]}: choose {', '.join(modes)}.", print_exception=False
            )
        return [
            scenario_entry(each) for of, listed in modes.items() if mode in ("", None, of) for each in listed
        ]

    def validate(yaml: str) -> dict[str, Any]:
        """Whether a text is a scenario, and what it is about.

        Args:
            yaml: the scenario's text; see docs/scenarios.md for the language

        Returns:
            "valid"; "words" about it, or what is wrong and its cure; "line" of the problem, from 1, if known;
            of a scenario, "scenario": as `scenarios` lists it
        """
        try:
            found = scenario_of(yaml, library)
        except ScenarioError as error:
            said = verdict(error)
            return {"valid": False, "words": said["words"], "line": said["line"], "scenario": None}
        words = verdict(found)["words"]
        return {"valid": True, "words": words, "line": None, "scenario": scenario_entry(found)}

    async def replay(
        visitor: gr.Request, scenario: str, checkpoint: str = "", seed: int = -1, image: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        """Run a scenario, and give its film. Meanwhile, yields how far it is, about once a second.

        Args:
            scenario: the name of one that ships, such as gta_drive/slalom, or the YAML text of one
            checkpoint: of the scenario's mode, from `catalog`; empty for the first one
            seed: of the noise; -1 for the scenario's own, else 0
            image: the name of a start image of `catalog`; empty for the scenario's own, else the first one

        Returns:
            "phase", "text", "progress" from 0 to 1, "frames"; at the end phase "ended" and "film" and
            "scenario", both files
        """
        own = whose(visitor, service.settings)
        with calls.one(own):
            request = await in_thread(request_of, library, scenario, checkpoint, seed, image)
            async for state in while_read(replayed(service, request, own), visitor, patience):
                yield state

    async def compare(
        visitor: gr.Request,
        scenarios: list[str],
        checkpoints: list[str],
        seeds: str = "",
        optimizations: list[str] = [],  # noqa: B006 (Gradio shows the default)
        by: str = "meaning",
    ) -> AsyncIterator[dict[str, Any]]:
        """Run scenarios through checkpoints, side by side. Meanwhile, yields how far it is.

        Args:
            scenarios: rows: names of scenarios that ship, such as gta_drive/slalom
            checkpoints: columns, from `catalog`; the first one is the baseline
            seeds: rows for each of these, such as 0..3; empty for the scenarios' own
            optimizations: columns for each of these, from `catalog`; none for what the server is set to
            by: translate actions between modes by "meaning" or by "key"

        Returns:
            "id" for `report`; "done"; "runs": a list of dictionaries with key, scenario, checkpoint, phase,
            progress, error and scores; "files": addresses below the server's
        """
        own = whose(visitor, service.settings)
        with calls.one(own):
            grid = await in_thread(grid_of, bench, scenarios, checkpoints, seeds, optimizations, by)
            states = compared(bench, grid, visitor.session_hash or "", own)
            async for state in while_read(states, visitor, patience):
                yield state

    async def report(visitor: gr.Request, id: str, file: str = "report.json") -> dict[str, Any]:
        """A comparison as a file.

        Args:
            id: of a comparison, from `compare`
            file: report.html, report.csv, report.json, contact-sheet.png or grid.mp4

        Returns:
            "address" below the server's; of report.json, "report": its content, too
        """
        own = whose(visitor, service.settings)
        with calls.one(own):
            return await files_of(bench, id, file, own)

    quick: dict[str, Any] = {"concurrency_id": "programs, quick", "concurrency_limit": AT_ONCE}
    slow: dict[str, Any] = {"concurrency_id": SLOW_CALLS, "concurrency_limit": AT_ONCE}
    for function in (catalog, scenarios, validate):
        api(_saying(function), **quick)
    for function in (replay, compare, report):
        api(_saying(function), **slow)


def _saying(function: Callable) -> Callable:
    """The function; what goes wrong in it is said to its caller in a sentence."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def stream(*args, **kwargs) -> AsyncIterator[Any]:
            try:
                async for value in function(*args, **kwargs):
                    yield value
            except Exception as error:
                raise _said(error) from None

        each: dict[str, Any] = {"return_annotation": dict[str, Any]}  # what a program gets at a time
        stream.__signature__ = inspect.signature(function).replace(**each)  # pyright: ignore[reportAttributeAccessIssue]
        return stream

    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wait(*args, **kwargs) -> Any:
            try:
                return await function(*args, **kwargs)
            except Exception as error:
                raise _said(error) from None

        return wait

    @functools.wraps(function)
    def call(*args, **kwargs) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            raise _said(error) from None

    return call


def _said(error: Exception) -> gr.Error:
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, UserError):
        return gr.Error(str(error), print_exception=False)
    log.error("A call of a program failed.", exc_info=error)
    return gr.Error(FAILED, print_exception=False)
