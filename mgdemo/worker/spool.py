"""A session's latents on the disk of the worker's machine: with them its blocks are made again quickly.

To make a block again takes its denoising; to follow latents that are known takes one pass. So a rewind
arrives sooner, and a session whose worker was lost or whose lease is over. What is missing here is made again
in full: nothing but time depends on it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import shutil
import struct
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from mgdemo.actions import ActionTrack
from mgdemo.folders import temporary_folder

RESERVE = 2 * 10**9  # bytes of the disk that stay free for others, such as recordings
LIMIT = 512 * 10**6  # bytes of a session: some six minutes of the published size, more of an embedded world
UNUSED = 3600.0  # seconds after which a file that no worker holds is deleted
HEAD = struct.Struct("<IfI16s")  # node, decay, bytes that follow, and a digest of the actions

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Written:
    """Where a node's latents are in the file; decay: see `mgdemo.collapse`."""

    start: int
    size: int
    digest: bytes
    decay: float


class Spool:
    """The latents of one session. An error is logged, and then it keeps nothing more."""

    def __init__(self, session: str, *, goes_on: bool = False):
        """session: a name that nobody guesses. goes_on: take up what an earlier worker has left."""
        self._written: dict[int, Written] = {}
        self._end = 0
        self._path = temporary_folder("worlds") / hashlib.sha256(session.encode()).hexdigest()
        self._file: BinaryIO | None = None
        with self._guarded():
            _private(self._path.parent)
            _sweep(self._path.parent)
            if goes_on and self._path.is_file():
                _copy(self._path)  # the earlier worker may still write
            else:
                self._path.write_bytes(b"")
            self._file = self._path.open("r+b", buffering=0)
            self._close = weakref.finalize(self, self._file.close)
            self._read(self._file)

    def put(self, node: int, actions: ActionTrack, latents: bytes, decay: float) -> None:
        """Keep what a node's block was made from; the last word on a node counts."""
        if self._file is None or not latents or self._end + HEAD.size + len(latents) > LIMIT:
            return
        digest = _digest(actions)
        with self._guarded():
            if shutil.disk_usage(self._path.parent).free < RESERVE:
                return
            data = HEAD.pack(node, decay, len(latents), digest) + latents
            self._file.seek(self._end)
            if self._file.write(data) < len(data):
                raise OSError("the disk is full")
            self._written[node] = Written(self._end + HEAD.size, len(latents), digest, decay)
            self._end += len(data)

    def get(self, node: int, actions: ActionTrack) -> bytes | None:
        """The latents of a node's block, if they are here and it was made under these actions."""
        place = self._written.get(node)
        if self._file is None or place is None or place.digest != _digest(actions):
            return None
        with self._guarded():
            self._file.seek(place.start)
            latents = self._file.read(place.size)
            return latents if len(latents) == place.size else None
        return None

    def decay(self, node: int) -> float:
        """Of the picture at a node's end, if its latents are here; else 0."""
        return self._written[node].decay if node in self._written else 0.0

    def remove(self) -> None:
        """The session is over."""
        if self._file is not None:
            self._path.unlink(missing_ok=True)
            self._give_up()

    def _read(self, file: BinaryIO) -> None:
        """Find what is in the file, as far as it was written whole."""
        size = file.seek(0, os.SEEK_END)
        while self._end + HEAD.size <= size:
            file.seek(self._end)
            node, decay, length, digest = HEAD.unpack(file.read(HEAD.size))
            if self._end + HEAD.size + length > size:
                break
            self._written[node] = Written(self._end + HEAD.size, length, digest, decay)
            self._end += HEAD.size + length

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            log.warning("Latents cannot be kept in %s: what is rewound takes longer.", self._path.parent)
            self._give_up()

    def _give_up(self) -> None:
        if self._file is not None:
            self._file = None
            self._close()


def _digest(actions: ActionTrack) -> bytes:
    mouse = b"" if actions.mouse is None else actions.mouse.tobytes()
    return hashlib.sha256(actions.keyboard.tobytes() + mouse).digest()[:16]


def _private(folder: Path) -> None:
    folder.mkdir(mode=0o700, exist_ok=True)
    if hasattr(os, "getuid") and folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} is somebody else's")


def _sweep(folder: Path) -> None:
    """Delete what workers have left that nobody took up; a worker that still has it loses only the name."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime > UNUSED:
                path.unlink()


def _copy(path: Path) -> None:
    """Put a copy in a file's place."""
    copy = path.with_suffix(".copy")
    shutil.copyfile(path, copy)
    copy.replace(path)
