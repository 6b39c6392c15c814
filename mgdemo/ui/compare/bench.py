"""What stands behind the Compare tab: grids, who wants them, and where all that is kept."""

from __future__ import annotations

import atexit
import contextlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mgdemo import probe
from mgdemo.compare.ballots import Ballots
from mgdemo.compare.device import Device, device_of
from mgdemo.compare.estimate import expected
from mgdemo.compare.exports import Exports
from mgdemo.compare.grids import Grids, ended_job
from mgdemo.compare.jobs import CellState, Comparisons, Job
from mgdemo.compare.keep import prune
from mgdemo.compare.plan import Grid, Speeds, Variant
from mgdemo.compare.store import RunStore
from mgdemo.compare.votes import Votes
from mgdemo.errors import UserError
from mgdemo.serving import SessionService
from mgdemo.serving.engines.process import environment
from mgdemo.serving.engines.zerogpu import lent_device
from mgdemo.ui.compare.choice import Choice
from mgdemo.ui.compare.planner import Planner
from mgdemo.ui.library import Library

FOLDER = "compare"  # below the folder of recordings
RUNS, GRIDS, FILES, VOTES = "runs", "grids", "files", "votes.sqlite3"
FOUND = 20  # ended grids that are remembered after they were read from disk


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
        self.folder = folder_of(service.settings.record_dir)
        self.store = RunStore(self.folder / RUNS)
        self.grids = Grids(self.folder / GRIDS)
        self.exports = Exports(self.folder / FILES)
        self.ballots = Ballots(Votes(self.folder / VOTES))
        self._device: Device | None = None
        self._probed: float | None = None  # frames a second of an embedded world; 0: it cannot be made
        self._comparisons: Comparisons | None = None
        self._running: list[Job] = []  # and some that have ended since
        self._wanted: dict[str, set[str]] = {}  # by a grid's id: the tokens of the pages that asked for it
        self._found: OrderedDict[str, Job] = OrderedDict()
        self._lock, self._asking = threading.Lock(), threading.Lock()
        self.tidy()
        atexit.register(self.close)

    def device(self) -> Device:
        """What the runs are made on; takes seconds at first. Raises DeviceError."""
        with self._asking:
            if self._device is None:
                settings = self.service.settings
                self._device = Device(lent_device()) if settings.leases else device_of(settings.device)
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
            if self._probed is None and settings.leases:
                self._probed = 0.0  # nobody has asked for a GPU yet
            if self._probed is None:
                world = next((e for e in self.library.catalogue() if e.embedded and e.available), None)
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
        job, token = self._ready().start(grid, visitor, account), secrets.token_urlsafe(12)
        with self._lock:
            self._running = [each for each in self._running if not each.done and each is not job] + [job]
            self._found.pop(job.id, None)
            self._wanted = {id: pages for id, pages in self._wanted.items() if id in self._running_ids()}
            self._wanted.setdefault(job.id, set()).add(token)
        self.grids.keep(grid)
        self.tidy()
        return job, token

    def find(self, id: str) -> Job | None:
        """A grid that runs, or as it stands on disk."""
        if self._comparisons is not None and (job := self._comparisons.get(id)) is not None:
            return job
        with self._lock:
            job = self._found.get(id)
        if job is None and (grid := self.grids.get(id)) is not None:
            job = ended_job(grid, self.store)
            with self._lock:
                self._found[id] = job
                while len(self._found) > FOUND:
                    self._found.popitem(last=False)
        return job

    def cancel(self, id: str, token: str) -> bool:
        """A page does not want a grid any more: it ends, unless other pages want it. Whether it ends."""
        with self._lock:
            wanted = self._wanted.get(id, set())
            if token not in wanted:
                return False
            wanted.discard(token)
            if wanted:
                return False
        if (job := self.find(id)) is not None:
            job.cancel()
        return True

    def cost(self, grid: Grid, kept: Collection[str]) -> str:
        """What a visitor is charged for the runs of a grid that are not kept yet, a sentence; "": nothing."""
        todo = {run.key: run.frames for run in grid.all if run.key not in kept}.values()
        lent = sum(self.service.lending.run_seconds(frames) or 0 for frames in todo)
        return f" Each run is lent a GPU of its own, for about {lent} s together." if lent else ""

    def lease(self, id: str, token: str) -> Iterator[None]:
        """Have the device that a run of a grid waits for while this is iterated, for a page that wants the
        grid; see `Lending.hold`."""
        with self._lock:
            wanted = token in self._wanted.get(id, set())
        if wanted and (job := self.find(id)) is not None:
            yield from self.service.lending.hold(wanting(job.states()))

    def tidy(self) -> None:
        """Delete what is too old, and the oldest of what is too much."""
        settings = self.service.settings
        with self._lock:
            jobs = [job for job in self._running if not job.done]
        in_use = {run.key for job in jobs for run in job.grid.all} | {f"{job.id}.grid" for job in jobs}
        with contextlib.suppress(OSError):  # runs and recordings report what is wrong with the disk
            prune(
                [self.folder / name for name in (RUNS, GRIDS, FILES)],
                days=settings.compare_days,
                megabytes=settings.compare_megabytes,
                in_use=in_use,
            )

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

    def _running_ids(self) -> set[str]:
        return {job.id for job in self._running}
