"""What is kept on disk of comparisons, and whose it is: part of the server's one budget."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import threading
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from mgdemo.compare.store import UNFINISHED, forget_unfinished
from mgdemo.serving.disk import Item, measured

RUNS, GRIDS, FILES, OWNERS = "runs", "grids", "files", "owners.json"
REMEMBERED, OF_ONE = 20_000, 2_000  # names whose owners are known; those of one visitor, the latest ones
NOBODY = "nobody"  # whose all is that nobody is known to own: it counts as one visitor's

log = logging.getLogger(__name__)


class Kept:
    """The runs, plans and files of comparisons below `folder`. For any thread.

    Runs are named by their keys, plans and files by the ids of their grids. Each belongs to the visitor whose
    comparison made it; it may be part of others' comparisons, too.
    """

    def __init__(self, folder: Path, days: float):
        """days: for which they are kept unused; 0: as long as there is room."""
        self.runs, self.grids, self.files = folder / RUNS, folder / GRIDS, folder / FILES
        self._days, self._path = days, folder / OWNERS
        self._measured: dict[Path, tuple[int, tuple[int, float]]] = {}  # of an entry as it was then
        self._lock = threading.Lock()
        self._owners: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError, AttributeError):
            said = json.loads(self._path.read_text(encoding="utf-8"))
            self._owners = {str(name): str(owner) for name, owner in said.items()}

    def own(self, names: Iterable[str], owner: str) -> None:
        """Remember whose these are that a comparison makes; what was there before stays whose it was.

        owner: the name of a visitor, see `mgdemo.serving.owners`; "" is nobody.
        """
        files = {_name(path) for path in _entries(self.files)}
        with self._lock:
            for name in names:
                there = name in files or (self.runs / name).exists() or (self.grids / f"{name}.grid").exists()
                before = self._owners.pop(name, "") if there else ""
                if before or owner:
                    self._owners[name] = before or owner  # now the latest
            self._forget()
            try:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                part = self._path.with_suffix(".part")
                part.write_text(json.dumps(self._owners), encoding="utf-8")
                part.replace(self._path)
            except OSError as error:
                log.warning("Whose a comparison is could not be kept: %s", error)

    def _forget(self) -> None:
        """The oldest names of whoever has too many, or most of all if there are too many."""
        names: defaultdict[str, deque[str]] = defaultdict(deque)
        for name, owner in self._owners.items():
            names[owner].append(name)
        while names:
            owner = max(names, key=lambda each: len(names[each]))
            if len(names[owner]) <= OF_ONE and len(self._owners) <= REMEMBERED:
                return
            del self._owners[names[owner].popleft()]

    def items(self, in_use: Collection[str]) -> Iterator[Item]:
        """All that is kept. in_use: names."""
        now = time.time()
        for folder in self._folders:
            forget_unfinished(folder, now)
        known, self._measured = self._measured, {}
        for folder in self._folders:
            for path in _entries(folder):
                with contextlib.suppress(OSError):  # another program was faster
                    changed = path.stat().st_mtime_ns
                    before = known.get(path)
                    found = before if before and before[0] == changed else (changed, measured(path))
                    self._measured[path] = found
                    size, at = found[1]
                    name = _name(path)
                    owner = self._owners.get(name, NOBODY)
                    yield Item(path, size, at, owner, 24 * self._days, in_use=name in in_use)

    @property
    def _folders(self) -> tuple[Path, ...]:
        return self.runs, self.grids, self.files


def _entries(folder: Path) -> list[Path]:
    """Without those that are being made."""
    entries = folder.iterdir() if folder.is_dir() else ()
    return [path for path in entries if not path.name.startswith(UNFINISHED)]


def _name(path: Path) -> str:
    """The key of a run's folder; the id of a plan's file, or of a folder with the files of a grid."""
    return re.split(r"[.-]", path.name)[0]
