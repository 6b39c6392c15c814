"""The tree of a session's blocks, the same for the worker that makes them and the service that records them.

A node is a block made below another one; node 0 is the start, before the first block. Rewinding moves only
the head; what is made from there on is another branch.
"""

from __future__ import annotations

from dataclasses import dataclass

from mgdemo.actions import ActionTrack

START = 0  # the node before the first block


@dataclass(frozen=True)
class Node:
    """`frames` counts the video frames from the start to the end of the block. The start has no actions."""

    parent: int
    block: int
    frames: int
    actions: ActionTrack | None

    @property
    def first_frame(self) -> int:
        return self.frames - len(self.actions or ())


class BlockTree:
    """Nodes by number, in the order in which they were first made, and the head, where the session stands.

    `all_frames` counts the video frames of all nodes together.
    """

    def __init__(self):
        self.nodes = {START: Node(START, -1, 0, None)}
        self.head = START
        self.all_frames = 0

    def __contains__(self, node: int) -> bool:
        return node in self.nodes

    def __getitem__(self, node: int) -> Node:
        return self.nodes[node]

    @property
    def blocks(self) -> int:
        """Blocks from the start to the head."""
        return self.nodes[self.head].block + 1

    @property
    def frames(self) -> int:
        """Video frames from the start to the head."""
        return self.nodes[self.head].frames

    def add(self, actions: ActionTrack) -> int:
        """A block was made below the head: its node, the new head."""
        self.put(len(self.nodes), self.head, actions)
        return self.head

    def put(self, node: int, parent: int, actions: ActionTrack) -> None:
        """Node `node` was made below `parent`, or made again under other actions; it is the head."""
        above, before = self.nodes[parent], self.nodes.get(node)
        self.all_frames += len(actions) - len((before and before.actions) or ())
        self.nodes[node] = Node(parent, above.block + 1, above.frames + len(actions), actions)
        self.head = node

    def path(self, node: int) -> list[int]:
        """The nodes from the first block to `node`; none for the start."""
        path = []
        while node != START:
            path.append(node)
            node = self.nodes[node].parent
        return path[::-1]

    @property
    def ends(self) -> list[int]:
        """The last nodes of all branches, in the order in which they were made; the start if it is alone.

        A branch's number, wherever it is shown, is its place here, from 1.
        """
        inner = {node.parent for number, node in self.nodes.items() if number != START}
        return sorted(self.nodes.keys() - inner)
