"""How sessions have ended, beside their files: a page gets its recording after a restart, too."""

from __future__ import annotations

import json
import logging
import threading
from functools import partial
from pathlib import Path

from mgdemo.serving.disk import FOLDER
from mgdemo.serving.journal import JOURNAL, key_of, read_journal
from mgdemo.serving.phases import Ended
from mgdemo.serving.recorder import finish
from mgdemo.video.films import Branch, Recording

ENDED = "ended.json"
RESTARTED = "The server was restarted during your session. Press Start to begin another one."

log = logging.getLogger(__name__)


class Registry:
    """Of the sessions recorded in a folder. A session that was cut off by a crash gets its films, too: in
    `recover`, or as soon as its page asks. Methods may be called from any thread.

    owners: the names of their visitors, by folder, as far as they were known at the start.
    """

    def __init__(self, parent: Path):
        self._lock = threading.Lock()
        self._folders: dict[str, Path] = {}  # by `key_of` their token
        self._cut_off: dict[str, Path] = {}
        self.owners: dict[Path, str] = {}
        folders = parent.iterdir() if parent.is_dir() else ()
        for folder in sorted(path for path in folders if FOLDER.fullmatch(path.name)):
            self._look_at(folder)

    def _look_at(self, folder: Path) -> None:
        for name, found in {ENDED: self._folders, JOURNAL: self._cut_off}.items():
            try:
                with (folder / name).open(encoding="utf-8") as file:
                    said = json.loads(file.readline())
                    found[str(said["key"])] = folder
                    self.owners[folder] = str(said.get("owner", ""))
                return
            except FileNotFoundError:
                continue
            except (OSError, ValueError, LookupError, TypeError, AttributeError):
                log.exception("%s cannot be read.", folder / name)
                return

    @property
    def cut_off(self) -> bool:
        """Whether there are sessions that a crash has cut off."""
        return bool(self._cut_off)

    def write(self, token: str, ended: Ended, broken_off: bool, owner: str) -> None:
        """Remember how a session has ended whose recording has a folder of its own. Raises OSError.

        broken_off: see `Recorded`.
        """
        with self._lock:
            self._write(key_of(token), ended, broken_off, owner)

    def _write(self, key: str, ended: Ended, broken_off: bool, owner: str) -> None:
        recording = ended.recording
        if recording is None:
            return
        folder = recording.mp4.parent
        files = {"mp4": recording.mp4, "overlay_mp4": recording.overlay_mp4, "scenario": recording.scenario}
        names = {name: path and path.name for name, path in files.items()}
        numbers = {"frames": recording.frames, "fps": recording.fps, "number": recording.number}
        end = {"outcome": ended.outcome, "text": ended.text, "frames": ended.frames}
        about = {"key": key, "owner": owner, "broken_off": broken_off}
        branches = [(each.number, each.node, each.frames, each.left_at) for each in recording.branches]
        text = json.dumps({**about, **end, "recording": {**names, **numbers, "branches": branches}})
        (folder / f"{ENDED}.part").write_text(text, encoding="utf-8")
        (folder / f"{ENDED}.part").replace(folder / ENDED)
        self._folders[key] = folder

    def __len__(self) -> int:
        """Of how many sessions the end is known."""
        return len(self._folders)

    def forget_deleted(self) -> None:
        """Of sessions whose files are gone nothing is left to know."""
        with self._lock:
            folders = list(self._folders.items())
        gone = [(key, folder) for key, folder in folders if not folder.exists()]
        with self._lock:
            for key, folder in gone:
                if self._folders.get(key) == folder:
                    del self._folders[key]

    def find(self, token: str) -> Ended | None:
        """How a session has ended, as far as its files are still there; may take seconds."""
        key = key_of(token)
        with self._lock:
            if key in self._cut_off:
                return self._finish(key)
            folder = self._folders.get(key)
        try:
            return _read(folder) if folder is not None else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # it was deleted

    def recover(self) -> None:
        """Make the films of all sessions that a crash has cut off."""
        while True:
            with self._lock:
                if not self._cut_off:
                    return
                self._finish(next(iter(self._cut_off)))

    def _finish(self, key: str) -> Ended | None:
        folder = self._cut_off.pop(key)
        try:
            if (journal := read_journal(folder)) is None:
                return None  # another server's, whose session is on
            recorded, session = journal
            recording = finish(recorded, recorded.tree.head, session.about)
            ended = Ended("ended", RESTARTED, recording, recording.frames if recording else 0)
            self._write(key, ended, False, session.owner)
        except Exception:
            log.exception("The films of %s could not be made.", folder)
            return None
        return ended


def _read(folder: Path) -> Ended:
    value = json.loads((folder / ENDED).read_text(encoding="utf-8"))
    fields = value["recording"]

    def file(name: str) -> Path | None:
        return folder / Path(fields[name]).name if fields[name] else None

    mp4 = file("mp4")
    if mp4 is None or not mp4.exists():
        raise FileNotFoundError(folder)
    frames, fps, number = fields["frames"], fields["fps"], fields["number"]
    branches = tuple(
        Branch(each, node, length, left_at, fps, partial(_branch, folder, node, each, value["broken_off"]))
        for each, node, length, left_at in fields.get("branches", ())
    )
    recording = Recording(mp4, file("overlay_mp4"), file("scenario"), frames, fps, number, branches)
    return Ended(value["outcome"], value["text"], recording, value["frames"])


def _branch(folder: Path, node: int, number: int, broken_off: bool) -> Recording:
    """The files of a branch. Only for these the journal is read, which may name ten thousands of packets.

    Raises OSError and ValueError.
    """
    if (journal := read_journal(folder)) is None:
        raise BlockingIOError(f"{folder} is another server's")
    recorded, session = journal
    assert recorded.log is not None
    recorded.log.close()  # films open it for themselves
    if node not in recorded.tree:
        raise ValueError(f"the journal of {folder} ends before node {node}")
    recorded.broken_off = broken_off
    return recorded.branch(node, number, session.about)
