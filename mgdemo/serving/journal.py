"""The journal of a session, beside its packets: all that is needed to make its films after a crash.

JSON lines: first what the session was, then each making of a block, each packet in the order of the log, and
each change of the head. A line that was not written whole ends it. Whoever writes it holds a lock on it, so
that another server that uses the same folder leaves it alone.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.picture import StartImage
from mgdemo.scenario import Mark
from mgdemo.serving.recorded import Recorded
from mgdemo.video.films import About, PacketLog

try:
    import fcntl
except ImportError:  # Windows: there, journals of a crash are left alone
    fcntl = None

JOURNAL, PICTURE = "session.jsonl", "start.png"
BLOCK, PACKET, HEAD = "block", "packet", "head"

Note = tuple[Any, ...]  # its kind, then its values


def key_of(token: str) -> str:
    """What stands for a token on the disk: whoever reads it there cannot open the session by it."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True)
class Journaled:
    """What a journal says of its session. key: see `key_of`; owner: the name of its visitor, see `Owners`."""

    key: str
    about: About
    owner: str = ""


class Journal:
    """Written by one thread. All methods raise OSError."""

    def __init__(self, folder: Path, recorded: Recorded, session: Journaled):
        about = session.about
        if about.start.reference is None:
            about.start.picture.save(folder / PICTURE)
        self._file = (folder / JOURNAL).open("w", encoding="utf-8")
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        head = {"film": recorded.film.name, "size": recorded.size, "fps": recorded.fps, "key": session.key}
        head["owner"] = session.owner
        words = {
            "title": about.title,
            "checkpoint": about.checkpoint,
            "seed": about.seed,
            "beside": about.beside,
        }
        start = {"start": about.start.reference, "marks": [asdict(mark) for mark in about.marks]}
        self._write(head | words | start)

    def add(self, notes: Sequence[Note]) -> None:
        self._write(*([*note[:3], _to_json(note[3])] if note[0] == BLOCK else note for note in notes))

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()

    def _write(self, *lines: Any) -> None:
        self._file.write("".join(json.dumps(line) + "\n" for line in lines))
        self._file.flush()


def read_journal(folder: Path) -> tuple[Recorded, Journaled] | None:
    """What the journal of a folder says, as far as it goes; None while it is being written.

    Raises OSError and ValueError where there is none that can be read.
    """
    with (folder / JOURNAL).open(encoding="utf-8") as file:
        if not _is_free(file):
            return None
        head = json.loads(file.readline())
        recorded = Recorded(folder / Path(head["film"]).name, tuple(head["size"]), head["fps"])
        with contextlib.suppress(ValueError, KeyError, IndexError):  # where the crash came
            for line in file:
                _apply(recorded, json.loads(line))
    recorded.log = PacketLog.reopen(recorded.film.with_suffix(".h264"))
    reference = head["start"]
    picture = Image.new("RGB", (1, 1)) if reference else Image.open(folder / PICTURE).convert("RGB")
    about = About(
        head["title"],
        head["checkpoint"],
        head["seed"],
        StartImage(reference, picture),
        head["beside"],
        tuple(Mark(**mark) for mark in head["marks"]),
    )
    return recorded, Journaled(head["key"], about, head.get("owner", ""))


def remove_journal(folder: Path) -> None:
    for name in (JOURNAL, PICTURE):
        (folder / name).unlink(missing_ok=True)


def _is_free(file) -> bool:
    if fcntl is None:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _apply(recorded: Recorded, note: Sequence[Any]) -> None:
    match note:
        case [kind, node, parent, actions] if kind == BLOCK:
            recorded.block(node, parent, _to_track(actions))
        case [kind, node, frame, size, digest] if kind == PACKET:
            recorded.packet(node, frame, size, bytes.fromhex(digest))
        case [kind, node] if kind == HEAD and node in recorded.tree:
            recorded.tree.head = node
        case _:
            raise ValueError("no note of a journal")


def _to_json(track: ActionTrack) -> dict:
    arrays = {"keyboard": track.keyboard, "mouse": track.mouse}
    data = {
        name: None if array is None else base64.b64encode(array.tobytes()).decode()
        for name, array in arrays.items()
    }
    return {"mode": track.mode, "frames": len(track), **data}


def _to_track(value: dict) -> ActionTrack:
    keyboard, mouse = (
        None
        if text is None
        else np.frombuffer(base64.b64decode(text), np.float32).reshape(value["frames"], -1)
        for text in (value["keyboard"], value["mouse"])
    )
    assert keyboard is not None
    return ActionTrack(value["mode"], keyboard, mouse)
