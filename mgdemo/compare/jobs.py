"""Grids run in the background, for page, API and command line: watched by many, cancelled at any time."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Literal

from mgdemo import messages as m
from mgdemo.compare.plan import KEY_LENGTH, Grid, Run, check_size
from mgdemo.compare.room import Making, Room
from mgdemo.compare.run import Outcome, Runner
from mgdemo.compare.store import RunStore, StoredRun
from mgdemo.errors import WENT_WRONG, UserError
from mgdemo.serving import ServingError, SessionService
from mgdemo.serving.limits import CLOSING
from mgdemo.serving.outbox import Wake

CHANGES_A_SECOND = 4  # that a reader hears of at most
RUNNING = 8  # grids at once
OF_ONE = RUNNING // 2  # that one visitor may have among them
REMEMBERED = 20  # grids that have ended
ENDING_SECONDS = 5  # that closing waits for all runs under way

Phase = Literal["waiting", "running", "measuring", "finished", "failed", "cancelled"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CellState:
    """How a run stands.

    key: the run's. share: of its frames that are made, 0 to 1. fps: frames made a second, as far as known.
    words: what is being done, or why it waits. error: why it failed, in a sentence. stored: once finished.
    kept: it was there before. picture: a JPEG of the latest frame. wants: a token, to be lent a device.
    """

    key: str
    phase: Phase = "waiting"
    share: float = 0.0
    fps: float | None = None
    seconds_left: float | None = None
    words: str = ""
    error: str = ""
    stored: StoredRun | None = None
    kept: bool = False
    picture: bytes | None = None
    wants: str = ""

    @property
    def over(self) -> bool:
        return self.phase in ("finished", "failed", "cancelled")


class Job:
    """A grid that is run, or has been. Made by `Comparisons.start`; for any thread and any event loop."""

    def __init__(self, grid: Grid, stop: Callable[[Job], None], owner: str = ""):
        """stop: ends it, from any thread. owner: the name of whose it is, see `Owners`."""
        self.id, self.grid, self.owner = grid_id(grid), grid, owner
        self.began = time.time()
        self._order = [run.key for run in grid.all]
        self._states = {key: CellState(key) for key in self._order}
        self._lock, self._wake = threading.Lock(), Wake()
        self._done, self._stop = threading.Event(), stop

    @property
    def done(self) -> bool:
        """Whether nothing more will change: every run is finished, failed or cancelled."""
        return self._done.is_set()

    def states(self) -> list[CellState]:
        """Of each run, row by row."""
        with self._lock:
            return [self._states[key] for key in self._order]

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for its end, in a thread; whether it came."""
        return self._done.wait(seconds)

    async def changes(self) -> AsyncIterator[list[CellState]]:
        """The states now, and after each change, at most `CHANGES_A_SECOND` times a second; ends with the
        job, after its last states."""
        with self._wake.listen() as changed:
            while True:
                changed.clear()
                done = self.done
                yield self.states()
                if done:
                    return
                await asyncio.sleep(1 / CHANGES_A_SECOND)
                await changed.wait()

    def cancel(self) -> None:
        """Make no more runs. What is finished stays; a run under way is ended."""
        self._stop(self)

    def outcomes(self) -> list[Outcome]:
        """Of each run, row by row; those that are not finished have none stored."""
        pairs = zip(self.grid.all, self.states(), strict=True)
        return [Outcome(run, state.stored, state.error, state.kept) for run, state in pairs]

    # From the loop of the comparisons

    def change(self, state: CellState) -> None:
        with self._lock:
            self._states[state.key] = state
        self._wake.set()

    def end(self) -> None:
        """No run is under way any more."""
        with self._lock:
            for key, state in self._states.items():
                if not state.over:
                    self._states[key] = CellState(key, "cancelled", words="Canceled.")
        self._done.set()
        self._wake.set()


class Comparisons:
    """The grids of one service, each in the background; the same grid is run only once at a time.

    Their runs go through the service like sessions, one on each device at a time, so that speeds are their
    own, and give way to visitors. They are kept in the store. Close it before the service.
    """

    def __init__(
        self, service: SessionService, store: RunStore, *, device: str, most_frames: int | None = None
    ):
        """device: the kind that grids are planned with. most_frames: of one grid, see `check_size`."""
        self.service, self.store, self.most_frames = service, store, most_frames
        self._runner = Runner(service, store, device=device)
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock, self._closed = threading.Lock(), False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._room: Room  # of the loop
        self._tasks: dict[Job, asyncio.Task] = {}
        self._making = Making()

    def start(self, grid: Grid, visitor: str = "", account: str = "") -> Job:
        """Run a grid, or join the job that runs it already. Finished runs in the store cost nothing.

        visitor, account: as in `SessionRequest`. Raises PlanError or ServingError, with a sentence.
        """
        check_size(grid.rows, grid.columns, self.most_frames)
        job = Job(grid, self._cancel, self.service.owners.name(account))
        with self._lock:
            if self._closed:
                raise ServingError(CLOSING)
            if (running := self._jobs.get(job.id)) is not None and not running.done:
                return running
            if trouble := self._full(job.owner):
                raise ServingError(trouble)
            self._jobs[job.id] = job
            self._jobs.move_to_end(job.id)
            self._forget()
            self._started().call_soon_threadsafe(self._begin, job, visitor)
        return job

    def get(self, id: str) -> Job | None:
        """A job that runs, or one of the last that ended."""
        with self._lock:
            return self._jobs.get(id)

    def close(self) -> None:
        """Cancel all jobs. Can be repeated; nothing starts afterwards."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs.values())
        for job in jobs:
            job.cancel()
        until = time.monotonic() + ENDING_SECONDS
        for job in jobs:
            job.wait(max(0.0, until - time.monotonic()))
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _full(self, owner: str) -> str | None:
        """Why this visitor cannot start another grid now, if so."""
        running = [job for job in self._jobs.values() if not job.done]
        if len(running) >= RUNNING:
            return "Too many comparisons are running here: try again in a few minutes."
        own = sum(job.owner == owner for job in running) if owner else 0
        if self.service.settings.visitor_sessions and own >= OF_ONE:
            return f"{own} comparisons of yours are running here: wait for one of them, or cancel it."
        return None

    def _forget(self) -> None:
        ended = [job for job in self._jobs.values() if job.done]
        for job in ended[: max(0, len(ended) - REMEMBERED)]:
            del self._jobs[job.id]

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            settings = self.service.settings
            self._room = Room(lambda: 1 if settings.leases else min(self.service.devices, settings.sessions))
            threading.Thread(target=self._work, args=(self._loop,), name="compare", daemon=True).start()
        return self._loop

    @staticmethod
    def _work(loop: asyncio.AbstractEventLoop) -> None:
        loop.run_forever()
        loop.close()

    def _cancel(self, job: Job) -> None:
        def cancel() -> None:
            if (task := self._tasks.get(job)) is not None:
                task.cancel()

        if not job.done and self._loop is not None:
            self._loop.call_soon_threadsafe(cancel)

    # In the loop

    def _begin(self, job: Job, visitor: str) -> None:
        task = self._tasks[job] = asyncio.create_task(self._run(job, visitor))

        def ended(_: asyncio.Task) -> None:
            del self._tasks[job]
            job.end()

        task.add_done_callback(ended)

    async def _run(self, job: Job, visitor: str) -> None:
        """All runs of a job, column by column, so that each checkpoint is loaded once."""
        grid = job.grid
        columns = [row[column] for column in range(len(grid.columns)) for row in grid.runs]
        todo = [run for run in {run.key: run for run in columns}.values() if not self._kept(job, run)]
        async with asyncio.TaskGroup() as group:
            while todo:
                run = min(todo, key=lambda run: run.key in self._making)  # rather what no other grid makes
                todo.remove(run)
                with contextlib.ExitStack() as held:
                    held.callback(await self._making.begin(run.key))  # first, so that no place stands empty
                    if self._kept(job, run):
                        continue
                    await self._room.enter()
                    place = held.enter_context(contextlib.ExitStack())  # given back once: after the session
                    place.callback(self._room.leave)
                    task = group.create_task(self._make(job, run, visitor, place.close))
                    whole = held.pop_all()
                    task.add_done_callback(lambda _, whole=whole: whole.close())

    def _kept(self, job: Job, run: Run) -> bool:
        if (stored := self.store.get(run.key)) is not None:
            job.change(CellState(run.key, "finished", 1.0, stored=stored, kept=True))
        return stored is not None

    async def _make(self, job: Job, run: Run, visitor: str, leave: Callable[[], None]) -> None:
        """One run, in a place. If it fails, the others are made nevertheless. leave: the place."""
        key = run.key

        def heard(status: m.Status, picture: bytes | None, token: str) -> None:
            wants = token if status.lease == "wanted" else ""
            job.change(replace(_running(key, status, picture), wants=wants))

        def played() -> None:
            leave()
            job.change(CellState(key, "measuring", 1.0, words="Measuring."))

        try:
            stored = await self._runner.make(run, heard, played, visitor)
            job.change(CellState(key, "finished", 1.0, stored=stored))
        except (UserError, OSError) as error:
            log.warning("A run of %s failed: %s", run.variant.checkpoint, error)
            words = str(error)
            if isinstance(error, OSError):  # its own words name folders of the server
                words = f"The server's disk cannot be written ({error.strerror or 'see its log'})."
            job.change(CellState(key, "failed", error=words))
        except Exception:
            log.exception("A run of %s failed.", run.variant.checkpoint)
            job.change(CellState(key, "failed", error=WENT_WRONG))


def _running(key: str, status: m.Status, picture: bytes | None) -> CellState:
    if status.phase == "queued":
        return CellState(key, share=status.progress or 0.0, words=status.text)
    made = status.phase in ("playing", "buffering")  # the latter while it moves to another worker
    share = (status.progress or 0.0) if made else float(status.phase in ("saving", "ended"))
    left = status.seconds_left if status.phase == "playing" else None
    return CellState(key, "running", share, status.fps, left, status.text, picture=picture)


def grid_id(grid: Grid) -> str:
    """The hash of a grid's shape and of its runs' keys: the same grid has the same one, everywhere."""
    text = "\n".join(" ".join(run.key for run in row) for row in grid.runs)
    return hashlib.sha256(text.encode()).hexdigest()[:KEY_LENGTH]
