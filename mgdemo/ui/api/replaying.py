"""A scenario's run for a program."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

from mgdemo.errors import UserError
from mgdemo.scenario import MAX_BYTES, Scenario, ScenarioError, parse_scenario
from mgdemo.seeds import seed_of
from mgdemo.serving import SessionRequest, SessionService
from mgdemo.serving.live import SAVED_SECONDS
from mgdemo.ui.api.lending import holding
from mgdemo.ui.compare.planner import key_of
from mgdemo.ui.library import Library, missing
from mgdemo.ui.scenarios.editor import NAME


class ReplayError(UserError):
    """A scenario that cannot be run, or was not run to its end; the message says why and what to do."""


def scenario_of(text: str, library: Library) -> Scenario:
    """The scenario of that name, or with that text. Raises ScenarioError."""
    if not isinstance(text, str) or len(text) > MAX_BYTES:
        raise ScenarioError(f"A scenario is a text of at most {MAX_BYTES} characters.")
    if "\n" in text or ":" in text:
        return parse_scenario(text, NAME)
    for listed in library.scenarios().values():
        for scenario in listed:
            if key_of(scenario) == text:
                return scenario
    raise ScenarioError(
        f"There is no scenario called {text[:80]} here: name one that `scenarios` lists, or give its text."
    )


def request_of(library: Library, text: str, checkpoint: str, seed: int, image: str) -> SessionRequest:
    """What a session is asked to be, by what a program says. Raises UserError."""
    scenario = scenario_of(text, library)
    entry = library.entry(checkpoint or library.best(scenario.mode))
    if entry.mode != scenario.mode:
        raise ReplayError(
            f"{entry.name} is for {entry.mode}, and this scenario for {scenario.mode}: choose a checkpoint "
            f"of {scenario.mode}, or use `compare`, which translates."
        )
    if image:
        shipped = {path.stem: str(path) for path in library.start_images(entry.name)}
        if image not in shipped:
            raise ReplayError(f"There is no start image {image[:80]}: choose {', '.join(shipped)}.")
        path = shipped[image]
    else:
        path = library.start_image(scenario) or next(map(str, library.start_images(entry.name)), "")
    if not path or missing(path):
        raise ReplayError(f"{scenario.title} needs its start image {missing(path)}: name another one.")
    return SessionRequest(
        entry.name,
        library.picture(path, entry.name),
        seed_of(scenario.seed or 0 if seed == -1 else seed),
        scenario.track,
        scenario.title,
        marks=scenario.marks,
    )


async def replayed(
    service: SessionService, request: SessionRequest, account: str
) -> AsyncGenerator[dict[str, Any]]:
    """How the run stands, about once a second; at last with its files. It ends when nobody listens any more.

    Raises ServingError or ReplayError.
    """
    session, held = service.open(replace(request, account=account)), None
    try:
        async for status in session.statuses():
            if status.lease == "wanted":
                held = holding(service.lending.hold(session.token))
            if status.phase in ("ended", "error"):
                break
            yield {
                "phase": status.phase,
                "text": status.text,
                "progress": status.progress or 0.0,
                "frames": status.frames,
            }
        ended = await asyncio.wait_for(session.ended(), SAVED_SECONDS)
    except TimeoutError:
        raise ReplayError("The film is still being written: try again later.") from None
    finally:
        session.end("ended", "The program that wanted it has left.")
        if held is not None:
            await held
    recording = ended.recording
    if ended.outcome == "error" or recording is None:
        raise ReplayError(ended.text)
    yield {
        "phase": "ended",
        "text": ended.text,
        "progress": 1.0,
        "frames": recording.frames,
        "film": file(recording.mp4),
        "scenario": recording.scenario and file(recording.scenario),
    }


def file(path: Path) -> dict[str, Any]:
    """A file as Gradio's clients fetch it."""
    return {
        "path": str(path.resolve()),
        "orig_name": path.name,
        "size": path.stat().st_size,
        "meta": {"_type": "gradio.FileData"},
    }
