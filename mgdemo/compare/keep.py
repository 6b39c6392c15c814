"""What is kept on disk of comparisons, bounded by age and size."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from mgdemo.compare.store import UNFINISHED, forget_unfinished

DAY = 86_400
MEGABYTE = 10**6


@dataclass(frozen=True)
class _Item:
    """A run's folder, the files made of a grid, or a grid's plan."""

    path: Path
    used: float
    size: int


def prune(
    folders: Collection[Path],
    *,
    days: float,
    megabytes: int,
    in_use: Collection[str] = (),
    now: float | None = None,
) -> None:
    """Delete what lies in the `folders` and has not changed for so many days; then, while all together is
    larger than `megabytes`, the oldest.

    days: 0 is any age. in_use: names that stay. Runs that are being made are not counted.
    """
    now = time.time() if now is None else now
    for folder in folders:
        forget_unfinished(folder, now)
    items = sorted(_items(folders), key=lambda item: item.used)
    total = sum(item.size for item in items)
    for item in items:
        old = days > 0 and now - item.used > days * DAY
        if (old or total > megabytes * MEGABYTE) and item.path.name not in in_use:
            _delete(item.path)
            total -= item.size


def _items(folders: Collection[Path]) -> list[_Item]:
    found = []
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.startswith(UNFINISHED):
                continue
            try:
                files = list(path.rglob("*")) if path.is_dir() else [path]
                used = max(file.stat().st_mtime for file in [path, *files])
                found.append(_Item(path, used, sum(file.stat().st_size for file in files)))
            except OSError:  # another program was faster
                continue
    return found


def _delete(path: Path) -> None:
    """At once, as readers see it: a run without one of its files would be half a run."""
    if not path.is_dir():
        path.unlink(missing_ok=True)
        return
    gone = path.with_name(f"{UNFINISHED}{path.name}")
    try:
        path.rename(gone)
    except OSError:
        return
    shutil.rmtree(gone, ignore_errors=True)
