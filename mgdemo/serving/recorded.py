"""What is recorded of a session, and the films that can be made of it: one along each path of its tree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from mgdemo.actions import ActionTrack
from mgdemo.tree import START, BlockTree
from mgdemo.video.digest import frames_sha256
from mgdemo.video.films import (
    About,
    Branch,
    Cut,
    PacketLog,
    Place,
    Recording,
    with_keys,
    write_recording,
)


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
        self._main = START  # the node to which `film` leads

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

    def films(self, head: int, about: About) -> Recording | None:
        """Write the film of the branch to `head`, and prepare those of the other branches.

        None if nothing was recorded. Raises OSError.
        """
        frames = self._frames()
        recorded = [end for end in (head, *reversed(self.tree.ends)) if frames[end]]
        if self.log is None or not recorded:
            return None
        self._main = recorded[0]
        number, branches = self.branches(self._main, about)
        return self._write(self._main, self.film, about, number, branches)

    def draw(self, recording: Recording) -> Recording:
        """What `films` gave, with the film with keys if that can be made; takes long."""
        return self._draw(self._main, recording)

    def branches(self, head: int, about: About) -> tuple[int | None, tuple[Branch, ...]]:
        """The number of the branch to `head`, and the other ones in the order of their numbers.

        There may be hundreds that share nearly all, so that each node is looked at once for all of them.
        """
        frames, left_at, main = self._frames(), {START: 0}, self._recorded(head)
        for number, node in self.tree.nodes.items():
            if number != START:
                left_at[number] = frames[number] if number in main else left_at[node.parent]
        numbers = {end: number for number, end in enumerate(self.tree.ends, 1)}
        branches = tuple(
            Branch(number, end, frames[end], left_at[end], self.fps, partial(self.branch, end, number, about))
            for end, number in numbers.items()
            if end != head and frames[end]
        )
        return numbers.get(head) if branches else None, branches

    def branch(self, end: int, number: int, about: About) -> Recording:
        """Write the files of the branch to a node. Raises OSError."""
        path = self.film.with_stem(f"{self.film.stem}-branch{number}")
        about = replace(about, title=f"{about.title} (branch {number})")
        return self._draw(end, self._write(end, path, about, number))

    def _write(
        self,
        end: int,
        path: Path,
        about: About,
        number: int | None,
        branches: tuple[Branch, ...] = (),
    ) -> Recording:
        assert self.log is not None
        cut = self._cut(end)
        return write_recording(
            self.log, cut, path, self.size, self.fps, about, number=number, branches=branches
        )

    def _draw(self, end: int, recording: Recording) -> Recording:
        film = recording.mp4
        return with_keys(recording, film.with_stem(f"{film.stem}-keys"), self._cut(end).track)

    def _cut(self, end: int) -> Cut:
        blocks = self._recorded(end).values()
        frames = [(block, frame) for block in blocks for frame in sorted(block.packets)]
        track = ActionTrack.concat([block.actions for block in blocks])
        return Cut(
            [block.packets[frame] for block, frame in frames],
            track.frames(0, len(frames)),
            frames_sha256([block.digests[frame] for block, frame in frames]),
        )

    def _frames(self) -> dict[int, int]:
        """By node, the length of the film that leads there; 0 where there is none."""
        frames, whole = {START: 0}, {START}
        for number, node in self.tree.nodes.items():  # a node comes after its parent
            if number == START:
                continue
            block = self._kept(number) if node.parent in whole else None
            frames[number] = frames[node.parent] + (len(block.packets) if block else 0)
            if block and block.whole:
                whole.add(number)
        return frames

    def _recorded(self, end: int) -> dict[int, _RecordedBlock]:
        """What is recorded of the path to a node, up to the first block that is not whole."""
        found: dict[int, _RecordedBlock] = {}
        for node in self.tree.path(end):
            block = self._kept(node)
            if block is None:
                break
            found[node] = block
            if not block.whole:
                break
        return found

    def _kept(self, node: int) -> _RecordedBlock | None:
        """The making of a node that its films show: a whole block, so that a replay is the same.

        (A block on its way at the end has not been shown.) Trouble may begin in the middle of a block.
        """
        makings = [making.written(self.written) for making in self._blocks[node]]
        whole = [making for making in makings if making.whole]
        if whole:
            return whole[-1]
        return makings[0] if self.broken_off and makings[0].packets else None
