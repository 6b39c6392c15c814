"""What is kept on the disk: one budget over recordings and uploads, fair to all visitors."""

from __future__ import annotations

import contextlib
import filecmp
import glob
import re
import shutil
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = re.compile(r"\d{8}-\d{6}-[0-9a-f]{16}")  # a session's folder
UPLOADS = "uploads"  # whose they are is not known: all of them count as one visitor's
FRESH_SECONDS = 60.0  # for which an upload stays: its page is about to use it


@dataclass(frozen=True)
class Item:
    """Something that can be deleted: when it was changed last, in seconds of the clock; whose it is."""

    path: Path
    size: int
    at: float
    owner: str


def excess(items: Collection[Item], now: float, hours: float, size: int, most: int) -> list[Item]:
    """What has to go: what is older than `hours` (0: nothing is), then the oldest ones of whoever has most,
    until all others together have at most `size` bytes and are at most `most` recordings.
    """
    gone = [item for item in items if hours and now - item.at > hours * 3600]
    owners: defaultdict[str, list[Item]] = defaultdict(list)
    for item in sorted(items, key=lambda item: (item.at, item.path)):
        if item not in gone:
            owners[item.owner].append(item)
    sizes = {owner: sum(item.size for item in own) for owner, own in owners.items()}
    while sum(sizes.values()) > size and any(owners.values()):
        owner = max((each for each, own in owners.items() if own), key=lambda each: sizes[each])
        gone.append(owners[owner].pop(0))
        sizes[owner] -= gone[-1].size
    counts = {owner: len(own) for owner, own in owners.items() if owner != UPLOADS}
    while sum(counts.values()) > most:
        owner = max(counts, key=lambda each: counts[each])
        gone.append(owners[owner].pop(0))
        counts[owner] -= 1
    return gone


def recordings(parent: Path, owners: Mapping[Path, str]) -> Iterator[Item]:
    """The folders of sessions; one whose visitor is not known counts as a visitor's of its own."""
    for folder in parent.iterdir() if parent.is_dir() else ():
        if FOLDER.fullmatch(folder.name) and folder.is_dir():
            size, at = _measured(folder)
            yield Item(folder, size, at, owners.get(folder) or folder.name)


def uploads(folder: Path | None, now: float) -> Iterator[Item]:
    """What pages have sent, whole or broken off, and what is made of it."""
    for file in folder.rglob("*") if folder is not None and folder.is_dir() else ():
        with contextlib.suppress(OSError):
            state = file.lstat()
            if not file.is_dir() and now - state.st_mtime > FRESH_SECONDS:
                yield Item(file, state.st_size, state.st_mtime, UPLOADS)


def delete_copies(folder: Path, among: Path | None) -> None:
    """Delete what was copied of a folder's files."""
    if among is None:
        return
    for file in folder.iterdir():
        for copy in among.rglob(glob.escape(file.name)):
            with contextlib.suppress(OSError):
                if copy.is_file() and filecmp.cmp(file, copy, shallow=False):
                    copy.unlink()


def used(record_dir: Path, upload_dir: Path | None) -> dict[str, int]:
    """Bytes by what they are; other: comparisons with their votes, and indexes."""
    films = sum(item.size for item in recordings(record_dir, {}))
    sent = _measured(upload_dir)[0] if upload_dir is not None else 0
    return {"recordings": films, "uploads": sent, "other": _measured(record_dir)[0] - films}


def delete(item: Item) -> None:
    if item.path.is_dir():
        shutil.rmtree(item.path, ignore_errors=True)
    else:
        item.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            item.path.parent.rmdir()  # if it is empty now


def sweep(
    record_dir: Path,
    upload_dir: Path | None,
    owners: Mapping[Path, str],
    in_use: Collection[Path],
    *,
    hours: float,
    megabytes: int,
    sessions: int,
) -> None:
    """Delete what is too old or too much; folders in use stay, and count. Raises OSError."""
    now = time.time()
    kept = list(recordings(record_dir, owners))
    used = sum(item.size for item in kept if item.path in in_use)
    items = [item for item in kept if item.path not in in_use] + list(uploads(upload_dir, now))
    for item in excess(items, now, hours, megabytes * 10**6 - used, sessions):
        delete(item)


def _measured(folder: Path) -> tuple[int, float]:
    """Bytes, and the latest change."""
    size, at = 0, 0.0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            state = path.lstat()
            size, at = size + (0 if path.is_dir() else state.st_size), max(at, state.st_mtime)
    return size, at
