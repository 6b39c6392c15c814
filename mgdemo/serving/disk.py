"""What is kept on the disk: one budget over recordings, uploads and comparisons, fair to all visitors."""

from __future__ import annotations

import contextlib
import filecmp
import glob
import math
import re
import shutil
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mgdemo.folders import upload_folder

FOLDER = re.compile(r"\d{8}-\d{6}-[0-9a-f]{16}")  # a session's folder
UPLOADS = "uploads"  # whose they are is not known: all of them count as one visitor's
USAGE_SECONDS = 10.0  # between two looks at how much there is
MOST_UPLOADS, MOST_COMPARED = 2000, 5000  # whatever their size: each sweep looks at all of them
FRESH_SECONDS = 60.0  # for which an upload stays: its page is about to use it


@dataclass(frozen=True)
class Item:
    """Something that can be deleted: when it was changed last, in seconds of the clock; whose it is.

    hours: for which it is kept at most, 0: as long as there is room. recording: it counts as one of those.
    in_use: it stays, and takes room.
    """

    path: Path
    size: int
    at: float
    owner: str
    hours: float = 0.0
    recording: bool = False
    in_use: bool = False


def excess(items: Collection[Item], now: float, size: int, most: int) -> list[Item]:
    """What has to go: what is too old, then the oldest ones of whoever has most, until all others together
    have at most `size` bytes. Of those not in use at most `most` are recordings, `MOST_UPLOADS` uploads, and
    `MOST_COMPARED` plans, runs and files of comparisons.
    """
    gone: list[Item] = []
    owners: defaultdict[str, list[Item]] = defaultdict(list)
    sizes: Counter[str] = Counter()
    for item in sorted(items, key=lambda item: (item.at, item.path)):
        if item.hours and now - item.at > item.hours * 3600 and not item.in_use:
            gone.append(item)
            continue
        sizes[item.owner] += item.size
        if not item.in_use:
            owners[item.owner].append(item)
    while sum(sizes.values()) > size and any(owners.values()):
        owner = max((each for each, own in owners.items() if own), key=lambda each: sizes[each])
        gone.append(owners[owner].pop(0))
        sizes[owner] -= gone[-1].size
    gone += owners[UPLOADS][: max(0, len(owners[UPLOADS]) - MOST_UPLOADS)]
    owners.pop(UPLOADS, None)
    for recording, number in ((True, most), (False, MOST_COMPARED)):
        kept = [[item for item in own if item.recording is recording] for own in owners.values()]
        for _ in range(sum(map(len, kept)) - number):
            gone.append(max(kept, key=len).pop(0))
    return gone


def recordings(
    parent: Path, owners: Mapping[Path, str], in_use: Collection[Path], hours: float
) -> Iterator[Item]:
    """The folders of sessions; one whose visitor is not known counts as a visitor's of its own."""
    for folder in parent.iterdir() if parent.is_dir() else ():
        if FOLDER.fullmatch(folder.name) and folder.is_dir():
            size, at = measured(folder)
            owner = owners.get(folder) or folder.name
            yield Item(folder, size, at, owner, hours, recording=True, in_use=folder in in_use)


def uploads(folder: Path | None, now: float, hours: float) -> Iterator[Item]:
    """What pages have sent, whole or broken off, and what is made of it."""
    for file in folder.rglob("*") if folder is not None and folder.is_dir() else ():
        with contextlib.suppress(OSError):
            state = file.lstat()
            if not file.is_dir() and now - state.st_mtime > FRESH_SECONDS:
                yield Item(file, state.st_size, state.st_mtime, UPLOADS, hours)


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
    films = sum(item.size for item in recordings(record_dir, {}, (), 0))
    sent = measured(upload_dir)[0] if upload_dir is not None else 0
    return {"recordings": films, "uploads": sent, "other": measured(record_dir)[0] - films}


class Usage:
    """`used`, at most once in a while: it walks through all files. May be asked from any thread."""

    def __init__(self, record_dir: Path):
        self._record_dir, self._lock = record_dir, threading.Lock()
        self._sizes: dict[str, int] = {}
        self._until = -math.inf

    def sizes(self) -> dict[str, int]:
        """See `used`; some seconds old at most."""
        with self._lock:  # whoever asks meanwhile gets the same
            if time.monotonic() >= self._until:
                self._sizes = used(self._record_dir, upload_folder())
                self._until = time.monotonic() + USAGE_SECONDS
            return dict(self._sizes)


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
    others: Iterable[Item] = (),
    *,
    hours: float,
    megabytes: int,
    sessions: int,
) -> None:
    """Delete what is too old or too much; folders in use stay, and count. Raises OSError.

    others: what shares the room with recordings and uploads.
    """
    now = time.time()
    items = [*recordings(record_dir, owners, in_use, hours), *uploads(upload_dir, now, hours), *others]
    for item in excess(items, now, megabytes * 10**6, sessions):
        delete(item)


def measured(folder: Path) -> tuple[int, float]:
    """Bytes of a folder, or of a file; and the latest change, in seconds of the clock."""
    size, at = 0, 0.0
    for path in (folder, *folder.rglob("*")):
        with contextlib.suppress(OSError):
            state = path.lstat()
            size, at = size + (0 if path.is_dir() else state.st_size), max(at, state.st_mtime)
    return size, at
