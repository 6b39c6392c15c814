"""The tree of a session's blocks with snapshots of its world: the way back to any of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mgdemo.interfaces import Snapshot, World
from mgdemo.tree import START, BlockTree

PER_BLOCK = 32 * 10**6  # bytes copied for snapshots, on average: a GPU would wait for more


@dataclass(frozen=True)
class Mark:
    """How the world and its picture were at the end of a node."""

    node: int
    snapshot: Snapshot
    picture: np.ndarray
    nbytes: int


class History:
    """Blocks are a pure function of image, seed and actions, so any node can be reached again exactly: from
    the nearest snapshot above it, by making the blocks between once more.

    Snapshots take at most `limit` bytes; the larger and the older they are, the sparser. The snapshot of the
    start takes none.
    """

    def __init__(self, world: World, picture: np.ndarray, limit: int):
        """picture: the world's start image, uint8 RGB [H, W, 3]."""
        self.world, self.tree = world, BlockTree()
        self.picture = picture  # the last frame of the head
        self._limit = limit
        self._start = Mark(START, world.snapshot(), picture, 0)
        self._marks: dict[int, Mark] = {}  # in the order of making

    @property
    def nbytes(self) -> int:
        """The memory that snapshots take."""
        return sum(mark.nbytes for mark in self._marks.values())

    @property
    def marked(self) -> list[int]:
        """The nodes that have a snapshot, beside the start."""
        return list(self._marks)

    def mark(self) -> None:
        """Keep the head's state, if there is room; to be called when nothing can change it any more."""
        size = self.world.snapshot_bytes + self.picture.nbytes
        way = self._way(self.tree.head)[1]
        if not way or size > self._limit or len(way) * PER_BLOCK < size:
            return
        picture = self.picture.copy()  # of a view, all frames of its block would stay in memory
        self._marks[self.tree.head] = Mark(self.tree.head, self.world.snapshot(), picture, size)
        while self.nbytes > self._limit:
            del self._marks[self._cheapest()]

    def rewind(self, node: int) -> list[int]:
        """Restore the snapshot nearest to `node`; the nodes to be made again from there."""
        mark, way = self._way(node)
        self.world.restore(mark.snapshot)
        self.tree.head, self.picture = mark.node, mark.picture
        return way

    def repeat(self, node: int) -> np.ndarray:
        """Make a node below the head once more; it is the head. Gives its frames."""
        actions = self.tree[node].actions
        assert actions is not None
        frames = self.world.step(actions)
        self.picture, self.tree.head = frames[-1], node
        return frames

    def _way(self, node: int) -> tuple[Mark, list[int]]:
        path = []
        while node != START and node not in self._marks:
            path.append(node)
            node = self.tree[node].parent
        return self._marks.get(node, self._start), path[::-1]

    def _cheapest(self) -> int:
        """The node whose snapshot is cheapest to lose: old, and close to its nearest ancestor's."""
        return min(self._marks, key=self._worth)

    def _worth(self, node: int) -> float:
        above, _ = self._way(self.tree[node].parent)
        return (self.tree[node].block - self.tree[above.node].block) / (len(self.tree.nodes) - node)
