"""What stands behind the Compare tab: grids, who wants them, and where all that is kept."""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mgdemo import probe
from mgdemo.compare.ballots import Ballots
from mgdemo.compare.device import Device, device_of
from mgdemo.compare.estimate import expected
from mgdemo.compare.exports import Exports
from mgdemo.compare.grids import Grids
from mgdemo.compare.jobs import CellState, Comparisons, Job
from mgdemo.compare.keep import Kept
from mgdemo.compare.plan import Grid, Speeds, Variant
from mgdemo.compare.store import RunStore
from mgdemo.compare.votes import Votes
from mgdemo.errors import UserError
from mgdemo.serving import SessionService
from mgdemo.serving.disk import Item
from mgdemo.serving.engines.process import environment
from mgdemo.serving.engines.zerogpu import lent_device
from mgdemo.ui.compare.choice import Choice
from mgdemo.ui.compare.found import Found
from mgdemo.ui.compare.planner import Planner
from mgdemo.ui.compare.wanted import Wanted
from mgdemo.ui.library import Library

FOLDER = "compare"  # below the folder of recordings
VOTES = "votes.sqlite3"


def folder_of(record_dir: Path) -> Path:
    """Where comparisons are kept; Gradio must not serve files from there."""
    return record_dir / FOLDER


def wanting(states: Sequence[CellState]) -> str:
    """The token of a run's session that waits to be lent a device; "" if there is none."""
    return next((state.wants for state in states if state.wants), "")


class Bench:
    """One for each page. Nothing is started before the tab is used. Close it before the service."""

    def __init__(self, service: SessionService, library: Library):
        self.service, self.library = service, library
        folder = folder_of(service.settings.record_dir)
        self.kept = Kept(folder, service.settings.compare_days)
        self.store = RunStore(self.kept.runs)
        self.grids = Grids(self.kept.grids)
        self.exports = Exports(self.kept.files)
        self.ballots = Ballots(Votes(folder / VOTES))
        self._device: Device | None = None
        self._probed: float | None = None  # frames a second of an embedded world; 0: it cannot be made
        self._comparisons: Comparisons | None = None
        self._running: list[Job] = []  # and some that have ended since
        self.wanted = Wanted()
        self._found = Found(self.grids, self.store)
        self._lock, self._asking = threading.Lock(), threading.Lock()
        service.share_disk(self._on_disk)
        atexit.register(self.close)

    def device(self) -> Device:
        """What the runs are made on; takes seconds at first. Raises DeviceError."""
        if self._device is not None:
            return self._device  # also while `measure` keeps others from asking
        with self._asking:
            if self._device is None:
                settings = self.service.settings
                self._device = Device(lent_device()) if settings.leases else device_of(self.service.ask)
                self.exports.device = self._device.kind
            return self._device

    def warm(self) -> None:
        """Ask for the device and its speed in the background."""
        if self._device is None:
            threading.Thread(target=self.measure, name="device", daemon=True).start()

    def measure(self) -> None:
        """Find out about the device, and how quickly it makes an embedded world; takes seconds at first."""
        with contextlib.suppress(UserError):  # whoever needs the device asks again and sees why
            self.device()
        settings = self.service.settings
        with self._asking:
            if self._probed is None and settings.engine != "process":
                self._probed = 0.0  # nobody has asked for a GPU yet, or other hosts compute
            if self._probed is None:
                world = next((e for e in self.library.catalog() if e.embedded and e.available), None)
                fps = world and probe.ask(world.name, settings, environment(settings))
                self._probed = fps or 0.0

    def speeds(self, columns: Sequence[Variant]) -> Speeds:
        """Frames a second of columns, as far as known; see `expected`."""
        return expected(columns, self.store.speeds(), self._device or Device("?"), self._probed)

    @property
    def known_device(self) -> Device | None:
        """The device, if it is known already."""
        return self._device

    def plan(self, choice: Choice) -> Grid:
        """Raises UserError."""
        return Planner(self.library, self.device(), self.service.settings.compare_frames).plan(choice)

    def start(self, grid: Grid, visitor: str = "", account: str = "") -> tuple[Job, str]:
        """Run a grid. Gives a token, too, with which the page that asked may cancel it. Raises UserError.

        visitor, account: as in `SessionRequest`.
        """
        job = self._ready().start(grid, visitor, account)
        with self._lock:
            self._running = [each for each in self._running if not each.done and each is not job] + [job]
            self._found.forget(job.id)
            token = self.wanted.ask(job.id, {each.id for each in self._running})
        self.kept.own([job.id, *(run.key for run in grid.all)], job.owner)
        self.grids.keep(grid)
        return job, token

    def find(self, id: str) -> Job | None:
        """A grid that runs, or as it stands on disk."""
        if self._comparisons is not None and (job := self._comparisons.get(id)) is not None:
            return job
        return self._found.job(id)

    def film(self, id: str, key: str) -> Path | None:
        """The film of a finished run of a grid. Pages ask for each of them, in parts."""
        has = self._found.has(id, key)
        if has is None:
            job = self.find(id)
            has = job is not None and any(run.key == key for run in job.grid.all)
        return self.store.film(key) if has else None

    def cancel(self, id: str, token: str) -> bool:
        """A page does not want a grid any more: it ends, unless other pages want it. Whether it ends."""
        if not self.wanted.refuse(id, token):
            return False
        if (job := self.find(id)) is not None:
            job.cancel()
        return True

    def cost(self, grid: Grid, kept: Collection[str]) -> str:
        """What a visitor is charged for the runs of a grid that are not kept yet, a sentence; "": nothing."""
        todo = {run.key: run.frames for run in grid.all if run.key not in kept}.values()
        lent = sum(self.service.lending.run_seconds(frames) or 0 for frames in todo)
        return f" Each run borrows a GPU of its own; together they need about {lent} s." if lent else ""

    def lease(self, id: str, token: str) -> Iterator[None]:
        """Have the device that a run of a grid waits for while this is iterated, for a page that wants the
        grid; see `Lending.hold`."""
        if self.wanted.by(id, token) and (job := self.find(id)) is not None:
            yield from self.service.lending.hold(wanting(job.states()))

    def close(self) -> None:
        """End what runs; finished runs stay. Can be repeated."""
        atexit.unregister(self.close)
        if self._comparisons is not None:
            self._comparisons.close()
        self.exports.close()

    def _ready(self) -> Comparisons:
        kind = self.device().kind
        with self._lock:
            if self._comparisons is None:
                most = self.service.settings.compare_frames
                self._comparisons = Comparisons(self.service, self.store, device=kind, most_frames=most)
            return self._comparisons

    def _on_disk(self) -> Iterator[Item]:
        with self._lock:
            jobs = [job for job in self._running if not job.done]
        return self.kept.items({job.id for job in jobs} | {run.key for job in jobs for run in job.grid.all})
