"""Plans of grids on disk, so that a page or a link finds its comparison after the server was restarted."""

from __future__ import annotations

import io
import logging
import os
import pickle
import re
import zlib
from pathlib import Path
from tempfile import mkstemp
from typing import Any

from PIL import Image

from mgdemo import __version__
from mgdemo.compare.jobs import CellState, Job, grid_id
from mgdemo.compare.plan import KEY_LENGTH, Grid
from mgdemo.compare.store import RunStore
from mgdemo.picture import StartImage

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


class _Plans(pickle.Pickler):
    """Start images leave their pictures behind, which are by far the most of a plan: only runs need them."""

    def reducer_override(self, obj: Any) -> Any:
        return (_known, (obj.reference, obj.sha256)) if isinstance(obj, StartImage) else NotImplemented


def _known(reference: str | None, sha256: str) -> StartImage:
    start = StartImage(reference, Image.new("RGB", (0, 0)))  # of which no run can be made by mistake
    vars(start)["sha256"] = sha256
    return start


class Grids:
    """The plans in `folder`, which only this program may write: they are pickles.

    What comes back is to be looked at: its start images have empty pictures.
    """

    def __init__(self, folder: Path):
        self.folder = folder

    def keep(self, grid: Grid) -> None:
        """Nothing is raised where the disk cannot be written: the comparison goes on without."""
        path = self._path(grid_id(grid))
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            handle, temporary = mkstemp(dir=self.folder)
            with os.fdopen(handle, "wb") as file:
                data = io.BytesIO()
                _Plans(data).dump((__version__, grid))
                file.write(zlib.compress(data.getbuffer(), 1))
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
        self.used(id)
        return grid if version == __version__ and grid_id(grid) == id else None

    def used(self, id: str) -> bool:
        """Whether a plan is here; what is used stays."""
        try:
            os.utime(self._path(id))
        except OSError:
            return False
        return True

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
