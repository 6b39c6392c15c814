"""What is recorded of a session: its packets while it runs, and its files at the end."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from mgdemo.actions import ActionTrack
from mgdemo.tree import BlockTree
from mgdemo.video.films import About, Branch, Cut, PacketLog, Place, Recording, write_recording

BACKLOG = 32 * 2**20  # bytes that may wait to be written: some minutes of video
FULL, SLOW = "the server's disk is full or not writable", "the server's disk is too slow"
PATIENCE = 60.0  # seconds for which the end of a session waits for the disk
FOLDER = re.compile(r"\d{8}-\d{6}-[0-9a-f]{16}")  # a session's folder; nothing else is ever deleted

log = logging.getLogger(__name__)


@dataclass
class _RecordedBlock:
    """One making of a node: its actions, and the places of its packets in the log, by frame."""

    actions: ActionTrack
    packets: dict[int, Place] = field(default_factory=dict)

    def written(self, size: int) -> _RecordedBlock:
        """As far as it is within the first `size` bytes of the log."""
        packets = {frame: (start, n) for frame, (start, n) in self.packets.items() if start + n <= size}
        return replace(self, packets=packets)

    @property
    def whole(self) -> bool:
        return len(self.packets) == len(self.actions)


class Recorder:
    """Records one session into a folder of its own, from a thread of its own: only `finish` waits for
    the disk.

    Each branch begins with a key frame, and so does a regenerated block: the packets along any path of the
    session's tree make a film. A disk that is full, forbidden or too slow never ends the session: `trouble`
    then says from which moment on nothing is recorded.
    """

    def __init__(self, parent: Path, name: str, width: int, height: int, fps: int):
        now = datetime.now().strftime("%Y%m%d-%H%M%S")
        self.folder, self.fps = parent / f"{now}-{secrets.token_hex(8)}", fps
        self.tree = BlockTree()
        self.trouble = ""
        self._film, self._size = self.folder / f"{name}-{now}.mp4", (width, height)
        self._blocks: dict[int, list[_RecordedBlock]] = {}  # each making of each node
        self._placed = 0  # bytes that have their place in the log, written or not
        self._waiting: deque[tuple[int, bytes]] = deque()  # frames and packets
        self._log: PacketLog | None = None
        self._changed, self._closing = threading.Condition(), False
        self._thread = threading.Thread(target=self._work, name="record", daemon=True)
        self._thread.start()

    @property
    def written(self) -> int:
        """Bytes that are on the disk."""
        return self._log.size if self._log is not None else 0

    def block(self, node: int, parent: int, actions: ActionTrack) -> None:
        """The actions of a node whose frames follow; one that was there before is regenerated."""
        self.tree.put(node, parent, actions)
        self._blocks.setdefault(node, []).append(_RecordedBlock(actions))

    def frame(self, node: int, index: int, packet: bytes) -> None:
        """A packet of a node: frame `index` of its branch. Those of a regenerated node come in two runs."""
        if self.trouble:
            return
        if self._placed - self.written + len(packet) > BACKLOG:
            self._give_up(index, SLOW)
            return
        self._blocks[node][-1].packets[index] = (self._placed, len(packet))
        self._placed += len(packet)
        with self._changed:
            self._waiting.append((index, packet))
            self._changed.notify()

    def finish(self, head: int, about: About, overlay: bool) -> Recording | None:
        """Write the film of the branch to `head`, and prepare those of the other branches.

        None if nothing was recorded. Raises OSError; then the log stays.
        """
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            raise OSError(f"{self.folder} does not take what is written")
        ends = self.tree.ends
        paths = {end: path for end in (head, *reversed(ends)) if (path := self._recorded(end))}
        if self._log is None or not paths:
            self._remove()
            return None
        main, *others = paths
        numbers = {end: number for number, end in enumerate(ends, 1)} if others else {}
        branches = sorted((self._branch(end, main, numbers[end], about) for end in others), key=_number)
        try:
            return self._write(main, self._film, about, overlay, numbers.get(main), tuple(branches))
        finally:
            self._log.close()
            if not others and self._film.exists():
                self._log.remove()  # all of it is in the film

    def _write(
        self,
        end: int,
        path: Path,
        about: About,
        overlay: bool,
        number: int | None,
        branches: tuple[Branch, ...] = (),
    ) -> Recording:
        drawn = path.with_stem(f"{path.stem}-keys") if overlay else None
        assert self._log is not None
        return write_recording(
            self._log,
            self._cut(end),
            path,
            self._size,
            self.fps,
            about,
            overlay=drawn,
            number=number,
            branches=branches,
        )

    def _branch(self, end: int, main: int, number: int, about: About) -> Branch:
        path = self._film.with_stem(f"{self._film.stem}-branch{number}")
        about = replace(about, title=f"{about.title} (branch {number})")
        shared = set(self._recorded(main)) & set(self._recorded(end))
        return Branch(
            number,
            frames=len(self._cut(end).track),
            left_at=max((self.tree[node].frames for node in shared), default=0),
            fps=self.fps,
            _write=lambda: self._write(end, path, about, True, number),
        )

    def _cut(self, end: int) -> Cut:
        blocks = self._recorded(end).values()
        places = [place for block in blocks for _, place in sorted(block.packets.items())]
        track = ActionTrack.concat([block.actions for block in blocks])
        return Cut(places, track.frames(0, len(places)))

    def _recorded(self, end: int) -> dict[int, _RecordedBlock]:
        """What is recorded of the path to a node: whole blocks, so that a replay is the same.

        (A block on its way at the end has not been shown.) Trouble may begin in the middle of a block.
        """
        found: dict[int, _RecordedBlock] = {}
        for node in self.tree.path(end):
            makings = [making.written(self.written) for making in self._blocks[node]]
            whole = [making for making in makings if making.whole]
            if whole:
                found[node] = whole[-1]
                continue
            if self.trouble and makings[0].packets:
                found[node] = makings[0]
            break
        return found

    def _remove(self) -> None:
        if self._log is not None:
            self._log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # The thread that writes

    def _work(self) -> None:
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.folder.mkdir(mode=0o700)
            self._log = PacketLog(self._film.with_suffix(".h264"))
        except OSError as error:
            self._give_up(0, FULL, error)
            return
        while batch := self._next():
            try:
                self._log.add(b"".join(packet for _, packet in batch))
            except OSError:  # as much as fits
                for frame, packet in batch:
                    try:
                        self._log.add(packet)
                    except OSError as error:
                        self._give_up(frame, FULL, error)
                        return

    def _next(self) -> list[tuple[int, bytes]]:
        """All that waits to be written; nothing at the end."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            batch = list(self._waiting)
            self._waiting.clear()
            return batch

    def _give_up(self, frame: int, reason: str, error: OSError | None = None) -> None:
        log.error("A recording stops at frame %d: %s", frame, error or reason)
        self.trouble = self.trouble or f"The recording stops at frame {frame}: {reason}."


def _number(branch: Branch) -> int:
    return branch.number


def prune(parent: Path, sessions: int, megabytes: int, in_use: Collection[Path]) -> None:
    """Delete the folders of the oldest sessions, beyond `sessions` or `megabytes`; those in use stay."""
    total = 0
    folders = sorted((p for p in parent.iterdir() if FOLDER.fullmatch(p.name) and p.is_dir()), reverse=True)
    for count, folder in enumerate(folders, 1):
        total += sum(file.stat().st_size for file in folder.iterdir())
        if (count > sessions or total > megabytes * 10**6) and folder not in in_use:
            shutil.rmtree(folder, ignore_errors=True)
