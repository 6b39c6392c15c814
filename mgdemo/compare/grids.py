"""Plans of grids on disk, so that a page or a link finds its comparison after the server was restarted."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import re
import zlib
from pathlib import Path
from tempfile import mkstemp

from mgdemo import __version__
from mgdemo.compare.jobs import CellState, Job, grid_id
from mgdemo.compare.plan import KEY_LENGTH, Grid
from mgdemo.compare.store import RunStore

ID = re.compile(rf"[0-9a-f]{{{KEY_LENGTH}}}")
SUFFIX = ".grid"

log = logging.getLogger(__name__)


def only_ours(folder: Path) -> bool:
    """Whether nobody else may write in a folder. (The one for temporary files is everybody's: there, somebody
    may have made it first.) Raises OSError."""
    if not hasattr(os, "getuid"):  # Windows, where each user has a folder of temporary files
        return True
    info = folder.stat()
    return info.st_uid == os.getuid() and not info.st_mode & 0o022


class Grids:
    """The plans in `folder`, which only this program may write: they are pickles."""

    def __init__(self, folder: Path):
        self.folder = folder

    def keep(self, grid: Grid) -> None:
        """Nothing is raised where the disk cannot be written: the comparison goes on without."""
        path = self._path(grid_id(grid))
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                file.write(zlib.compress(pickle.dumps((__version__, grid)), 1))
            Path(temporary).replace(path)
        except OSError as error:
            log.warning("The plan of a comparison could not be kept: %s", error)

    def get(self, id: str) -> Grid | None:
        """The plan by its grid's id; None if it is not kept, or by another version of this program."""
        if not ID.fullmatch(id):
            return None
        try:
            if not only_ours(self.folder):
                log.warning("%s can be written by others, so no plan in it is read.", self.folder)
                return None
            version, grid = pickle.loads(zlib.decompress(self._path(id).read_bytes()))
        except OSError:
            return None
        except Exception as error:  # whatever a class that has changed since may raise
            log.warning("The plan of a comparison could not be read: %s", error)
            return None
        with contextlib.suppress(OSError):
            self._path(id).touch()  # what is used stays
        return grid if version == __version__ and grid_id(grid) == id else None

    def _path(self, id: str) -> Path:
        return self.folder / f"{id}{SUFFIX}"


def ended_job(grid: Grid, store: RunStore) -> Job:
    """A grid as it stands on disk, without making anything: what is not finished counts as cancelled."""
    job = Job(grid, lambda _: None)
    for run in grid.all:
        if (stored := store.get(run.key)) is not None:
            job.change(CellState(run.key, "finished", 1.0, stored=stored, kept=True))
    job.end()
    return job
