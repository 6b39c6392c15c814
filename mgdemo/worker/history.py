"""The tree of a session's blocks with snapshots of its world: the way back to any of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mgdemo.interfaces import Snapshot, World
from mgdemo.tree import START, BlockTree
from mgdemo.worker.spool import Spool

PER_BLOCK = 32 * 10**6  # bytes copied for snapshots, on average: a GPU would wait for more


@dataclass(frozen=True)
class Waypoint:
    """How the world and its picture were at the end of a node."""

    node: int
    snapshot: Snapshot
    picture: np.ndarray
    nbytes: int


class History:
    """Blocks are a pure function of image, seed and actions, so any node can be reached again exactly: from
    the nearest snapshot above it, by making the blocks between once more.

    Snapshots take at most `limit` bytes; the larger and the older they are, the sparser. The snapshot of the
    start takes none. Blocks whose latents are in the spool are followed, and only the last ones shown.
    """

    def __init__(self, world: World, picture: np.ndarray, limit: int, spool: Spool | None = None):
        """picture: the world's start image, uint8 RGB [H, W, 3]."""
        self.world, self.tree, self.spool = world, BlockTree(), spool
        self._blind = 0  # blocks that have to be shown until frames are exact
        self.picture = picture  # the last frame of the head
        self._limit = limit
        self._start = Waypoint(START, world.snapshot(), picture, 0)
        self._waypoints: dict[int, Waypoint] = {}  # in the order of making

    @property
    def nbytes(self) -> int:
        """The memory that snapshots take."""
        return sum(waypoint.nbytes for waypoint in self._waypoints.values())

    @property
    def snapshots(self) -> list[int]:
        """The nodes that have a snapshot, beside the start."""
        return list(self._waypoints)

    def snapshot(self) -> None:
        """Keep the head's state, if there is room; to be called when nothing can change it any more."""
        if self._blind:
            return
        size = self.world.snapshot_bytes + self.picture.nbytes
        way = self._way(self.tree.head)[1]
        if not way or size > self._limit or len(way) * PER_BLOCK < size:
            return
        picture = self.picture.copy()  # of a view, all frames of its block would stay in memory
        self._waypoints[self.tree.head] = Waypoint(self.tree.head, self.world.snapshot(), picture, size)
        while self.nbytes > self._limit:
            del self._waypoints[self._cheapest()]

    def rewind(self, node: int) -> list[int]:
        """Restore the snapshot nearest to `node`; the nodes to be made again from there."""
        waypoint, way = self._way(node)
        self.world.restore(waypoint.snapshot)
        self._blind = 0
        self.tree.head, self.picture = waypoint.node, waypoint.picture
        return way

    def keep(self, decay: float) -> None:
        """Spool what the head was made from. decay: of its picture, see `mgdemo.collapse`."""
        actions = self.tree[self.tree.head].actions
        if self.spool is not None and actions is not None:
            self.spool.put(self.tree.head, actions, self.world.latents, decay)

    def forget(self) -> None:
        """The session is over: nothing of it stays on the disk."""
        if self.spool is not None:
            self.spool.remove()

    def repeat(self, node: int, rest: int = 0) -> np.ndarray | None:
        """Make a node below the head once more; it is the head. Gives its frames, if they are exact.

        rest: how many more have to be repeated, at the end of which they are.
        """
        actions = self.tree[node].actions
        assert actions is not None
        latents = None if self.spool is None else self.spool.get(node, actions)
        if latents is None:
            frames = self.world.step(actions)
        else:
            frames = self.world.repeat(actions, latents, shown=rest < self.world.reach)
        self.tree.head = node
        self._blind = self.world.reach if frames is None else max(0, self._blind - 1)
        if frames is None or self._blind:
            return None
        self.picture = frames[-1]
        return frames

    def _way(self, node: int) -> tuple[Waypoint, list[int]]:
        path = []
        while node != START and node not in self._waypoints:
            path.append(node)
            node = self.tree[node].parent
        return self._waypoints.get(node, self._start), path[::-1]

    def _cheapest(self) -> int:
        """The node whose snapshot is cheapest to lose: old, and close to its nearest ancestor's."""
        return min(self._waypoints, key=self._worth)

    def _worth(self, node: int) -> float:
        above, _ = self._way(self.tree[node].parent)
        return (self.tree[node].block - self.tree[above.node].block) / (len(self.tree.nodes) - node)
