"""A play's tree of blocks, and the way back to any of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mgdemo.actions import ActionTrack

START = 0  # the node before the first block
PER_BLOCK = 32 * 10**6  # bytes copied for snapshots, on average: a GPU would wait for more


@dataclass
class Node:
    """A made block below another one; `frames` counts the video frames from the start to its end."""

    parent: int
    block: int
    frames: int
    actions: ActionTrack | None


@dataclass(frozen=True)
class Mark:
    """How the world and its picture stood at the end of a node."""

    node: int
    snapshot: Any
    picture: np.ndarray
    nbytes: int


class History:
    """Since blocks are a pure function of image, seed and actions, any node can be reached again exactly:
    from the nearest snapshot above it, by making the blocks between once more.

    Snapshots take at most `limit` bytes; the larger, and the older, the sparser they are. That of the start
    takes none.
    """

    def __init__(self, world: Any, picture: np.ndarray, limit: int):
        self.nodes = {START: Node(START, -1, 0, None)}
        self.head = START
        self._limit = limit
        self._start = Mark(START, world.snapshot(), picture, 0)
        self._marks: dict[int, Mark] = {}  # in the order of making

    def add(self, actions: ActionTrack) -> int:
        """A block was made below the head; its node is the new head."""
        above, node = self.nodes[self.head], len(self.nodes)
        self.nodes[node] = Node(self.head, above.block + 1, above.frames + len(actions), actions)
        self.head = node
        return node

    def mark(self, world: Any, picture: np.ndarray) -> None:
        """Keep the head's state, if there is room; to be called when nothing can change it any more."""
        size = world.snapshot_bytes + picture.nbytes
        _, way = self.way(self.head)
        if not way or size > self._limit or len(way) * PER_BLOCK < size:
            return
        self._marks[self.head] = Mark(self.head, world.snapshot(), picture, size)
        while sum(mark.nbytes for mark in self._marks.values()) > self._limit:
            del self._marks[self._least()]

    def way(self, node: int) -> tuple[Mark, list[int]]:
        """Where to go back to in order to reach `node`, and the nodes to be made again from there."""
        path = []
        while node != START and node not in self._marks:
            path.append(node)
            node = self.nodes[node].parent
        return self._marks.get(node, self._start), path[::-1]

    def _least(self) -> int:
        """The node whose snapshot is missed least: near to the one above it, and long ago."""
        return min(self._marks, key=self._worth)

    def _worth(self, node: int) -> float:
        above, _ = self.way(self.nodes[node].parent)
        return (self.nodes[node].block - self.nodes[above.node].block) / (len(self.nodes) - node)
