"""What a session has been so far, as its next worker needs it: enough to make all of it again exactly."""

from __future__ import annotations

from mgdemo.actions import ActionTrack
from mgdemo.blocks import block_frames
from mgdemo.messages.browser import Message
from mgdemo.messages.values import Count, Track
from mgdemo.tree import START, BlockTree


class Unfinished(Message):
    """The block of the head was announced, and only `sent` of its frames came.

    They come in the order of the video; with a `splice`, those from that frame on come first.
    """

    sent: Count
    splice: Count | None = None


class Past(Message):
    """A tree of blocks. Node n lies below `parents[n - 1]`, and `actions` are those of all nodes in turn.

    paused, attached, jpeg: as the last `Pause` and `Attach` said.
    """

    parents: tuple[Count, ...]
    actions: Track | None
    head: Count
    unfinished: Unfinished | None = None
    paused: bool = False
    attached: bool = False
    jpeg: bool = False

    @classmethod
    def of(cls, tree: BlockTree, **fields) -> Past:
        """The past that a tree tells, with `fields` as above."""
        nodes = [tree[number] for number in range(START + 1, len(tree.nodes))]
        tracks = [node.actions for node in nodes if node.actions is not None]
        return cls(
            parents=tuple(node.parent for node in nodes),
            actions=ActionTrack.concat(tracks) if tracks else None,
            head=tree.head,
            **fields,
        )

    def tree(self) -> BlockTree:
        """The tree again. Raises ValueError if it is none."""
        tree, start = BlockTree(), 0
        for number, parent in enumerate(self.parents, START + 1):
            if parent not in tree or self.actions is None:
                raise ValueError(f"Node {number} lies below none of those before it.")
            end = start + block_frames(tree[parent].block + 1)
            tree.put(number, parent, self.actions.frames(start, end))
            start = end
        if self.head not in tree or start != len(self.actions or ()):
            raise ValueError("The actions don't fit the blocks.")
        tree.head = self.head
        return tree
