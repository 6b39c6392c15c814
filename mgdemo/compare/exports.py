"""Scores and files of a grid on demand: made by a child process, one at a time; visitors keep the cores."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

from mgdemo.apart import apart
from mgdemo.compare.grid_film import write_grid_film
from mgdemo.compare.jobs import Job
from mgdemo.compare.plan import Grid
from mgdemo.compare.run import Outcome
from mgdemo.compare.store import UNFINISHED, write_json
from mgdemo.compare.table import Cell, as_csv, as_json, cells
from mgdemo.errors import UserError

FILES = {
    "report.html": "text/html",
    "report.csv": "text/csv",
    "report.json": "application/json",
    "contact-sheet.png": "image/png",
    "grid.mp4": "video/mp4",
}
WAITING = 8  # that may wait for their turn
OF_ONE = 4  # of one visitor
PATIENCE = 900  # seconds for one of them
TABLES = 20  # that are remembered


class ExportError(UserError):
    """A file that could not be made; the message says what to do."""


class ExportsBusy(ExportError):
    """It could be made later."""


@dataclass(frozen=True)
class _Order:
    """What a child makes: the scores, or the files of a report in `folder`."""

    grid: Grid
    outcomes: list[Outcome]
    device: str
    title: str
    folder: Path | None = None
    name: str = ""


class Exports:
    """Makes them for finished runs and keeps them in `folder`. Any thread may ask; what is asked for twice is
    made once."""

    def __init__(self, folder: Path, device: str = ""):
        """device: the kind on which the runs were made, for the report."""
        self.folder, self.device = folder, device
        self._pool = ThreadPoolExecutor(1, "exports")
        self._going: dict[str, Future] = {}
        self._askers: dict[str, str] = {}  # whose those are
        self._waiting: dict[str, Callable[[], object]] = {}  # how those are made that have not begun
        self._served: dict[str, int] = {}  # of these visitors, how many have begun
        self._tables: OrderedDict[str, list[list[Cell]]] = OrderedDict()
        self._lock = threading.Lock()

    def table(self, job: Job, account: str = "") -> Future[list[list[Cell]]]:
        """The scores of a grid as it stands, for `grid_view`; fails with ExportError.

        account: who asks, as in `SessionRequest`.
        """
        stage = stage_of(job)
        with self._lock:
            if (found := self._tables.get(stage)) is not None:
                ready: Future[list[list[Cell]]] = Future()
                ready.set_result(found)
                return ready
        return self._once(f"{stage} table", account, lambda: self._table(job, stage))

    def file(self, job: Job, name: str, account: str = "") -> Future[Path]:
        """One of `FILES` of a grid as it stands; fails with ExportError. account: as in `table`."""
        if name not in FILES:
            raise ExportError(f"There is no {name[:40]}; there are {', '.join(FILES)}.")
        if not any(state.stored for state in job.states()):
            raise ExportError("Nothing is finished yet: wait for the first run.")
        stage = stage_of(job)
        path = self.folder / stage / name
        if path.is_file():
            ready: Future[Path] = Future()
            ready.set_result(path)
            return ready
        return self._once(f"{stage} {name}", account, lambda: self._file(job, path))

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            waiting = [self._going[what] for what in self._waiting]
        for future in waiting:
            future.cancel()

    def _once(self, what: str, account: str, make: Callable[[], object]) -> Future:
        with self._lock:
            if (going := self._going.get(what)) is not None:
                return going
            if len(self._going) >= WAITING:
                raise ExportsBusy("Too many files are being made here: try again in a minute.")
            if account and list(self._askers.values()).count(account) >= OF_ONE:
                raise ExportsBusy(f"{OF_ONE} files of yours are being made here: wait for one of them.")
            self._askers[what], self._waiting[what] = account, make
            future = self._going[what] = Future()
            self._pool.submit(self._make_next)
            return future

    def _make_next(self) -> None:
        """Visitors take turns: of those that wait, one of whom the fewest were made meanwhile."""
        with self._lock:
            what = min(self._waiting, key=lambda each: self._served.get(self._askers[each], 0))
            make, account, future = self._waiting.pop(what), self._askers[what], self._going[what]
            self._served[account] = self._served.get(account, 0) + 1
        made, failed = None, None
        try:
            made = make()
        except BaseException as error:
            failed = error
        with self._lock:
            del self._going[what], self._askers[what]
            self._served = {each: n for each, n in self._served.items() if each in self._askers.values()}
        if failed is None:
            future.set_result(made)
        else:
            future.set_exception(failed)

    def _table(self, job: Job, stage: str) -> list[list[Cell]]:
        table = _child(_Order(job.grid, job.outcomes(), self.device, title_of(job.grid)))
        with self._lock:
            self._tables[stage] = table
            while len(self._tables) > TABLES:
                self._tables.popitem(last=False)
        return table

    def _file(self, job: Job, path: Path) -> Path:
        if path.is_file():  # with the others of its report
            return path
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            making = Path(mkdtemp(prefix=UNFINISHED, dir=self.folder))
            try:
                _child(_Order(job.grid, job.outcomes(), self.device, title_of(job.grid), making, path.name))
                path.parent.mkdir(mode=0o700, exist_ok=True)
                for made in making.iterdir():
                    made.replace(path.parent / made.name)
            finally:
                shutil.rmtree(making, ignore_errors=True)
        except OSError as error:
            raise ExportError(f"{path.name} could not be written: {error.strerror}.") from error
        return path


def stage_of(job: Job) -> str:
    """A name for a grid and what of it is finished: files of one stage never change."""
    finished = " ".join(state.key for state in job.states() if state.stored is not None)
    return f"{job.id}-{hashlib.sha256(finished.encode()).hexdigest()[:8]}"


def title_of(grid: Grid) -> str:
    return " against ".join(dict.fromkeys(column.title or column.checkpoint for column in grid.columns))


def _child(order: _Order) -> list[list[Cell]]:
    try:
        return apart(_make, order, patience=PATIENCE)
    except UserError as error:
        raise ExportError(str(error)) from error
    except OSError as error:
        raise ExportError("This could not be made: see the server's log, and try again.") from error


# In the child


def _make(order: _Order) -> list[list[Cell]]:
    table = cells(order.grid, order.outcomes)
    if order.folder is not None:
        _write(order.folder, order.name, order, table)
    return table


def _write(folder: Path, name: str, order: _Order, table: Sequence[Sequence[Cell]]) -> None:
    """The file that is asked for. A film takes longest, and a page brings all the others with it."""
    if name == "report.csv":
        (folder / name).write_text(as_csv(order.grid, table), encoding="utf-8")
    elif name == "report.json":
        write_json(folder / name, as_json(order.grid, table))
    elif name == "grid.mp4":
        write_grid_film(folder / name, table, order.title)
    else:
        from mgdemo.compare.report import write_report

        write_report(folder, order.grid, table, title=order.title, device=order.device, film=False)
