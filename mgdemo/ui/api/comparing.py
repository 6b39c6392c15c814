"""A comparison for a program."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast

from mgdemo.compare.exports import FILES, ExportError, ExportsBusy
from mgdemo.compare.jobs import CellState, Job
from mgdemo.compare.plan import Grid
from mgdemo.compare.table import Cell
from mgdemo.compare.translate import By
from mgdemo.errors import UserError
from mgdemo.serving.waiting import in_thread, shared
from mgdemo.ui.api.lending import holding
from mgdemo.ui.compare.bench import Bench, wanting
from mgdemo.ui.compare.choice import MOST_ITEMS, PLAIN, Choice

FOLDER = "gradio_api/compare"
SECOND = 1.0


class CompareError(UserError):
    """A comparison that cannot be made or is not known; the message says what to do."""


def grid_of(
    bench: Bench,
    scenarios: Sequence[str],
    checkpoints: Sequence[str],
    seeds: str,
    optimizations: Sequence[str],
    by: str,
) -> Grid:
    """The grid that a program asks for. Raises UserError."""
    for name, listed in {
        "scenarios": scenarios,
        "checkpoints": checkpoints,
        "optimizations": optimizations,
    }.items():
        if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
            raise CompareError(f"{name} is a list of names.")
        if len(listed) > MOST_ITEMS:
            raise CompareError(f"{len(listed)} {name} are too many: give {MOST_ITEMS} at most.")
    if by not in ("meaning", "key"):
        raise CompareError('Actions are translated by "meaning" or by "key".')
    choice = Choice(
        scenarios=tuple(scenarios),
        seeds=str(seeds),
        checkpoints=tuple(checkpoints),
        optimizations=tuple(words or PLAIN for words in optimizations) or (PLAIN,),
        by=cast(By, by),
    )
    return bench.plan(choice)


async def compared(
    bench: Bench, grid: Grid, visitor: str, account: str = ""
) -> AsyncGenerator[dict[str, Any]]:
    """How the grid stands, about once a second; at last with its scores and files. Raises UserError.

    It is cancelled when nobody listens any more, unless a page wants it, too.
    """
    job, token = await in_thread(bench.start, grid, visitor, account)
    bench.wanted.arrive(job.id, token)
    held = None
    try:
        said = -SECOND
        loop = asyncio.get_running_loop()
        async for states in job.changes():
            if wanting(states) and (held is None or held.done()):
                held = holding(bench.lease(job.id, token))
            if not job.done and loop.time() - said >= SECOND:
                said = loop.time()
                yield _state(job, states)
        states = job.states()
        table = None
        while table is None and any(state.stored for state in states):
            try:
                table = await shared(bench.exports.table(job, bench.service.owners.name(account)))
            except ExportsBusy:
                yield _state(job, states) | {"done": False}
                await asyncio.sleep(SECOND)
        yield _state(job, states, table) | {"files": {name: address(job, name) for name in FILES}}
    finally:
        bench.cancel(job.id, token)


def address(job: Job, name: str) -> str:
    """Where a file of a comparison is, below the server's own address."""
    return f"{FOLDER}/{job.id}/files/{name}"


def _state(
    job: Job, states: Sequence[CellState], table: Sequence[Sequence[Cell]] | None = None
) -> dict[str, Any]:
    cells = [cell for row in table for cell in row] if table else [None] * len(states)
    runs = [
        {
            "key": run.key,
            "scenario": run.case.title,
            "checkpoint": run.variant.checkpoint,
            "optimization": run.variant.optimization,
            "seed": run.seed,
            "phase": state.phase,
            "progress": round(state.share, 3),
            "error": state.error,
            "film": f"{FOLDER}/{job.id}/films/{run.key}.mp4" if state.stored else "",
            "frames_sha256": state.stored.facts["frames_sha256"] if state.stored else "",
            "scores": cell.scores if cell else {},
        }
        for run, state, cell in zip(job.grid.all, states, cells, strict=True)
    ]
    return {"id": job.id, "done": job.done, "runs": runs}


async def files_of(bench: Bench, id: str, name: str, account: str = "") -> dict[str, Any]:
    """One of the files of a comparison, which is made if it is not there. Raises UserError."""
    job = await in_thread(bench.find, id) if isinstance(id, str) else None
    if job is None:
        raise CompareError("This comparison isn't kept here: ask for it with `compare`.")
    if name not in FILES:
        raise ExportError(f"There is no {str(name)[:40]}; there are {', '.join(FILES)}.")
    path = await shared(bench.exports.file(job, name, bench.service.owners.name(account)))
    found: dict[str, Any] = {"address": address(job, name)}
    if name == "report.json":
        found["report"] = json.loads(await in_thread(path.read_text, "utf-8"))
    return found
