"""What is recorded of a session: its packets while it runs, and its files at the end."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mgdemo.actions import ActionTrack
from mgdemo.serving.journal import BLOCK, HEAD, PACKET, Journal, Journaled, Note, remove_journal
from mgdemo.serving.recorded import Recorded
from mgdemo.tree import BlockTree
from mgdemo.video.films import About, PacketLog, Recording

BACKLOG = 32 * 2**20  # bytes that may wait to be written: some minutes of video
FULL, SLOW = "the server's disk is full or not writable", "the server's disk is too slow"
BROKEN = "something went wrong on the server; see its log"
PATIENCE = 60.0  # seconds for which the end of a session waits for the disk

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Entry:
    """What is to be written: a packet, if any, and what the journal says of it."""

    frame: int
    packet: bytes
    note: Note


def _stem(name: str) -> str:
    """Nothing that leads out of the session's own folder."""
    return re.sub(r"[^\w.-]+", "-", re.split(r"[/\\]", name.rstrip("/\\"))[-1]).strip(".-")[:80] or "session"


class Recorder:
    """Records one session into a folder of its own, from a thread of its own: only `finish` waits for
    the disk.

    Each branch begins with a key frame, and so does a regenerated block: the packets along any path of the
    session's tree make a film. A disk that is full, forbidden or too slow never ends the session: `trouble`
    then says from which moment on nothing is recorded.
    """

    def __init__(
        self, parent: Path, name: str, width: int, height: int, fps: int, about: Journaled | None = None
    ):
        """name: of the checkpoint, or its path; files are named after its last part. about: what a journal
        says of the session, so that its films can be made after a crash, too."""
        now = datetime.now().strftime("%Y%m%d-%H%M%S")
        self.folder, self._about = parent / f"{now}-{secrets.token_hex(8)}", about
        self.recorded = Recorded(self.folder / f"{_stem(name)}-{now}.mp4", (width, height), fps)
        self.trouble = ""
        self._waiting: deque[_Entry] = deque()
        self._journal: Journal | None = None
        self._changed, self._closing = threading.Condition(), False
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)
        self._thread.start()

    @property
    def tree(self) -> BlockTree:
        return self.recorded.tree

    @property
    def written(self) -> int:
        """Bytes that are on the disk."""
        return self.recorded.written

    def block(self, node: int, parent: int, actions: ActionTrack) -> None:
        """The actions of a node whose frames follow; one that was there before is regenerated."""
        self.recorded.block(node, parent, actions)
        self._put(_Entry(0, b"", (BLOCK, node, parent, actions)))

    def go(self, node: int) -> None:
        """The session stands at a node."""
        self.tree.head = node
        self._put(_Entry(0, b"", (HEAD, node)))

    def frame(self, node: int, index: int, packet: bytes, digest: bytes = b"") -> None:
        """A packet of a node: frame `index` of its branch. Those of a regenerated node come in two runs.

        digest: the frame's `mgdemo.video.digest.frame_digest`, if it is known.
        """
        if self.trouble:
            return
        if self.recorded.placed - self.written + len(packet) > BACKLOG:
            self._give_up(index, SLOW)
            return
        self.recorded.packet(node, index, len(packet), digest)
        self._put(_Entry(index, packet, (PACKET, node, index, len(packet), digest.hex())))

    def finish(self, head: int, about: About) -> Recording | None:
        """Write the film of the branch to `head`, and prepare those of the other branches.

        None if nothing was recorded. Raises OSError; then the log stays.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise OSError(f"{self.folder} does not take what is written")
        self.recorded.broken_off = bool(self.trouble)
        try:
            return finish(self.recorded, head, about)
        finally:
            if self._journal is not None:
                self._journal.close()

    def draw(self, recording: Recording) -> Recording:
        """What `finish` gave, with the film with keys if that can be made; takes long."""
        return self.recorded.draw(recording)

    def _put(self, entry: _Entry) -> None:
        with self._changed:
            self._waiting.append(entry)
            if len(self._waiting) == 1:  # else its thread knows
                self._changed.notify()

    # The thread that writes

    def _work(self) -> None:
        film = self.recorded.film
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.mkdir(mode=0o700)
            if self._about is not None:
                self._journal = Journal(self.folder, self.recorded, self._about)
            self.recorded.log = log_ = PacketLog(film.with_suffix(".h264"))
        except Exception as error:
            self._failed(0, error)
            return
        while batch := self._next():
            try:
                log_.add(b"".join(entry.packet for entry in batch))
                self._note(batch)
            except Exception:  # as much as fits
                for entry in batch:
                    try:
                        log_.add(entry.packet)
                        self._note([entry])
                    except Exception as error:
                        self._failed(entry.frame, error)
                        return

    def _note(self, batch: list[_Entry]) -> None:
        """Into the journal, after the packets; without it there is only no way back from a crash."""
        if self._journal is not None:
            try:
                self._journal.add([entry.note for entry in batch])
            except Exception:
                log.exception("A journal could not be written.")
                self._journal.close()
                self._journal = None

    def _next(self) -> list[_Entry]:
        """All that waits to be written; nothing at the end."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            batch = list(self._waiting)
            self._waiting.clear()
            return batch

    def _failed(self, frame: int, error: Exception) -> None:
        if not isinstance(error, OSError):
            log.error("A recorder failed.", exc_info=error)
        self._give_up(frame, FULL if isinstance(error, OSError) else BROKEN, error)

    def _give_up(self, frame: int, reason: str, error: Exception | None = None) -> None:
        log.error("A recording stops at frame %d: %s", frame, error or reason)
        self.trouble = self.trouble or f"The recording stops at frame {frame}: {reason}."


def finish(recorded: Recorded, head: int, about: About) -> Recording | None:
    """The films of a session that is over. What is in none of them is deleted, without any the whole folder.

    Raises OSError; then the log stays.
    """
    recording = None
    try:
        recording = recorded.films(head, about)
    finally:
        if recorded.log is not None:
            recorded.log.close()
            if recording is not None and not recording.branches:
                recorded.log.remove()  # all of it is in the film
                remove_journal(recorded.film.parent)
    if recording is None:
        shutil.rmtree(recorded.film.parent, ignore_errors=True)
    return recording
