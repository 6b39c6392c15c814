"""What is recorded of a session, and the films that can be made of it: one along each path of its tree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from mgdemo.actions import ActionTrack
from mgdemo.tree import BlockTree
from mgdemo.video.digest import frames_sha256
from mgdemo.video.films import About, Branch, Cut, PacketLog, Place, Recording, write_recording


@dataclass
class _RecordedBlock:
    """One making of a node: its actions; by frame, the places of its packets in the log, and the digests."""

    actions: ActionTrack
    packets: dict[int, Place] = field(default_factory=dict)
    digests: dict[int, bytes] = field(default_factory=dict)

    def written(self, size: int) -> _RecordedBlock:
        """As far as it is within the first `size` bytes of the log."""
        packets = {frame: (start, n) for frame, (start, n) in self.packets.items() if start + n <= size}
        return replace(self, packets=packets)

    @property
    def whole(self) -> bool:
        return len(self.packets) == len(self.actions)


class Recorded:
    """The blocks of a session and the places of their packets in the log.

    film: the path of its film; size: width and height. broken_off: the last block may lack frames, since
    something went wrong.
    """

    def __init__(self, film: Path, size: tuple[int, int], fps: int):
        self.film, self.size, self.fps = film, size, fps
        self.tree = BlockTree()
        self.log: PacketLog | None = None
        self.broken_off = False
        self.placed = 0  # bytes that have their place in the log, written or not
        self._blocks: dict[int, list[_RecordedBlock]] = {}  # each making of each node

    @property
    def written(self) -> int:
        """Bytes that are on the disk."""
        return self.log.size if self.log is not None else 0

    def block(self, node: int, parent: int, actions: ActionTrack) -> None:
        """The actions of a node whose packets follow; one that was there before is regenerated."""
        self.tree.put(node, parent, actions)
        self._blocks.setdefault(node, []).append(_RecordedBlock(actions))

    def packet(self, node: int, frame: int, size: int, digest: bytes) -> None:
        """The next packet in the log, of so many bytes. digest: of its frame, b"" if it is not known."""
        block = self._blocks[node][-1]
        block.packets[frame], block.digests[frame] = (self.placed, size), digest
        self.placed += size

    def films(self, head: int, about: About, overlay: bool) -> Recording | None:
        """Write the film of the branch to `head`, and prepare those of the other branches.

        None if nothing was recorded. Raises OSError.
        """
        ends = self.tree.ends
        paths = {end: path for end in (head, *reversed(ends)) if (path := self._recorded(end))}
        if self.log is None or not paths:
            return None
        main = next(iter(paths))
        number, branches = self.branches(main, about)
        return self._write(main, self.film, about, overlay, number, branches)

    def branches(self, head: int, about: About) -> tuple[int | None, tuple[Branch, ...]]:
        """The number of the branch to `head`, and the other ones in the order of their numbers."""
        ends = self.tree.ends
        others = [end for end in ends if end != head and self._recorded(end)]
        numbers = {end: number for number, end in enumerate(ends, 1)} if others else {}
        branches = [self._branch(end, head, numbers[end], about) for end in others]
        return numbers.get(head), tuple(branches)

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
        assert self.log is not None
        return write_recording(
            self.log,
            self._cut(end),
            path,
            self.size,
            self.fps,
            about,
            overlay=drawn,
            number=number,
            branches=branches,
        )

    def _branch(self, end: int, main: int, number: int, about: About) -> Branch:
        path = self.film.with_stem(f"{self.film.stem}-branch{number}")
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
        frames = [(block, frame) for block in blocks for frame in sorted(block.packets)]
        track = ActionTrack.concat([block.actions for block in blocks])
        return Cut(
            [block.packets[frame] for block, frame in frames],
            track.frames(0, len(frames)),
            frames_sha256([block.digests[frame] for block, frame in frames]),
        )

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
            if self.broken_off and makings[0].packets:
                found[node] = makings[0]
            break
        return found
