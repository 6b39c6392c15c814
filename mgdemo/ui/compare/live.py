"""The WebSocket by which a page follows a grid, and cancels it. Gradio's events stay short.

Messages to the page, as JSON: `grid` with the whole view, when a run is finished and when all is scored;
`progress` with what changes meanwhile; `done`. With `gpu`, a run waits to be lent one: the page asks by the
Gradio event `lease`. A page that votes blindly gets only totals, no view. From the
page: `cancel` with its token. over: all runs have ended; scores may still come.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect

from mgdemo.compare.exports import ExportError, title_of
from mgdemo.compare.jobs import CellState, Job
from mgdemo.compare.table import Cell
from mgdemo.compare.view import grid_view, progress
from mgdemo.messages import TOO_MANY, UNKNOWN
from mgdemo.serving.budget import Budget
from mgdemo.serving.waiting import in_thread, next_text, shared
from mgdemo.ui.compare.bench import Bench, wanting
from mgdemo.ui.compare.progress import totals

MESSAGES, BURST_SECONDS = 2, 5  # a page says one at most
SHARED = "Others want this comparison, too, so it goes on."


async def live(bench: Bench, socket: WebSocket, visitor: str = "") -> None:
    """One socket from its opening to its close; the grid goes on without it. visitor: whose it is, a name."""
    await socket.accept()
    job = await in_thread(bench.find, socket.path_params["id"])
    try:
        if job is None:
            await socket.close(UNKNOWN)
            return
        listening = asyncio.create_task(_listen(bench, socket, job))
        try:
            await _tell(bench, socket, job, visitor, blind="blind" in socket.query_params)
            await listening
        finally:
            listening.cancel()
    except (WebSocketDisconnect, RuntimeError, OSError):
        pass  # the page is gone, perhaps while something was on its way


async def _tell(bench: Bench, socket: WebSocket, job: Job, visitor: str, *, blind: bool) -> None:
    async def tell(kind: str, states: Sequence[CellState], **more: object) -> None:
        message = {"type": kind, "totals": totals(job.grid, states), "over": job.done, **more}
        if wanting(states):
            message["gpu"] = True
        await socket.send_text(json.dumps(message, ensure_ascii=False))

    async def whole(states: list[CellState], cells: Sequence[Sequence[Cell]] | None = None) -> None:
        view = await in_thread(_view, job, states, cells)
        await tell("grid", states, view=view)

    seen = None
    async for states in job.changes():
        finished = [state.key for state in states if state.stored is not None]
        if blind:
            await tell("progress", states)
        elif finished != seen:
            await whole(states)
        else:
            await tell("progress", states, cells=progress(states))
        seen = finished
    states = job.states()
    if not blind and any(state.stored for state in states):
        try:
            await whole(states, await shared(bench.exports.table(job, visitor)))
        except ExportError as error:
            await tell("note", states, text=str(error))
    await tell("done", states)


def _view(job: Job, states: Sequence[CellState], cells: Sequence[Sequence[Cell]] | None) -> object:
    folder = f"gradio_api/compare/{job.id}/films"
    return grid_view(job.grid, states, lambda stored: f"{folder}/{stored.key}.mp4", cells, title_of(job.grid))


async def _listen(bench: Bench, socket: WebSocket, job: Job) -> None:
    """What the page says, until it goes. Raises WebSocketDisconnect then."""
    budget = Budget(MESSAGES, BURST_SECONDS, time.monotonic())
    while True:
        text = (await next_text(socket)) or ""
        if not budget.take(time.monotonic()):
            await socket.close(TOO_MANY)
            return
        try:
            said = json.loads(text)
        except (ValueError, RecursionError):
            continue
        if not isinstance(said, dict) or said.get("type") != "cancel":
            continue
        if not bench.cancel(job.id, str(said.get("token"))) and not job.done:
            note = {"type": "note", "totals": totals(job.grid, job.states()), "text": SHARED}
            await socket.send_text(json.dumps(note))
