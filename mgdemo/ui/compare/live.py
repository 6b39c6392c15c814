"""The WebSocket by which a page follows a grid, and cancels it. Gradio's events stay short.

Messages to the page, as JSON: `grid` with the whole view, when a run is finished and when all is scored;
`progress` with what changes meanwhile; `note` with a sentence; `done`, with one if there are no scores;
`alive` now and then. With `gpu`, a run waits to be lent one: the page asks by the Gradio event `lease`. A
page that votes blindly gets only totals, no view. over: all runs have ended; scores may still come.
From the page: `follow` and `cancel`, each with the token by which it asked for the grid.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect

from mgdemo.compare.exports import ExportError, ExportsBusy, title_of
from mgdemo.compare.jobs import CellState, Job
from mgdemo.compare.table import Cell
from mgdemo.compare.view import grid_view, progress
from mgdemo.messages import TOO_MANY, UNKNOWN
from mgdemo.serving.budget import Budget
from mgdemo.serving.waiting import in_thread, next_text, shared
from mgdemo.ui.compare.bench import Bench, wanting
from mgdemo.ui.compare.progress import totals

MESSAGES, BURST_SECONDS = 2, 5  # a page says one at most
ALIVE_SECONDS = 5.0  # between two signs of life
AGAIN_SECONDS = 5.0  # until scores are asked for again
LEAVING = (1000, 1001, 1005)  # the codes of pages that leave, not of lost connections
BUSY = "Other files are being made here first: the scores follow by themselves."
SHARED = "Others want this comparison, too, so it goes on."


async def live(bench: Bench, socket: WebSocket, visitor: str = "") -> None:
    """One socket from its opening to its close; the grid goes on without it. visitor: whose it is, a name."""
    await socket.accept()
    job = await in_thread(bench.find, socket.path_params["id"])
    try:
        if job is None:
            await socket.close(UNKNOWN)
            return
        async with asyncio.TaskGroup() as group:  # all end with the first one
            group.create_task(_tell(bench, socket, job, visitor, blind="blind" in socket.query_params))
            group.create_task(_keep_alive(socket))
            await _listen(bench, socket, job)
    except* (WebSocketDisconnect, RuntimeError, OSError):
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

    async def scores(states: list[CellState]) -> list[list[Cell]]:
        waits = False
        while True:
            try:
                return await shared(bench.exports.table(job, visitor))
            except ExportsBusy:
                if not waits:
                    await tell("note", states, text=BUSY)
                waits = True
                await asyncio.sleep(AGAIN_SECONDS)

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
    states, trouble = job.states(), ""
    if not blind and any(state.stored for state in states):
        try:
            await whole(states, await scores(states))
        except ExportError as error:
            trouble = str(error)
    await tell("done", states, text=trouble)


def _view(job: Job, states: Sequence[CellState], cells: Sequence[Sequence[Cell]] | None) -> object:
    folder = f"gradio_api/compare/{job.id}/films"
    return grid_view(job.grid, states, lambda stored: f"{folder}/{stored.key}.mp4", cells, title_of(job.grid))


async def _keep_alive(socket: WebSocket) -> None:
    """Signs of life, by which the page knows a silent connection from a lost one."""
    while True:
        await asyncio.sleep(ALIVE_SECONDS)
        await socket.send_text('{"type": "alive"}')


async def _listen(bench: Bench, socket: WebSocket, job: Job) -> None:
    """What the page says, until it goes. Raises WebSocketDisconnect then."""
    budget = Budget(MESSAGES, BURST_SECONDS, time.monotonic())
    follows, lost = "", True
    try:
        while True:
            text = (await next_text(socket)) or ""
            if not budget.take(time.monotonic()):
                await socket.close(TOO_MANY)
                raise WebSocketDisconnect(TOO_MANY)
            kind, token = _said(text)
            if kind == "follow" and not follows:
                follows = token
                bench.wanted.arrive(job.id, token)
            elif kind == "cancel" and not bench.cancel(job.id, token) and not job.done:
                note = {"type": "note", "totals": totals(job.grid, job.states()), "text": SHARED}
                await socket.send_text(json.dumps(note))
    except WebSocketDisconnect as error:
        lost = error.code not in LEAVING
        raise
    finally:
        if follows:
            bench.wanted.leave(job.id, follows, lost=lost)


def _said(text: str) -> tuple[str, str]:
    """The type and the token of a message; of what is none, nothing."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return "", ""
    return str(said.get("type")), str(said.get("token"))
