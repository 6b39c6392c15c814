"""A session whose worker is lost goes on in another one: what has to be known for that at any moment."""

from __future__ import annotations

from dataclasses import dataclass

from mgdemo import messages as m
from mgdemo.tree import BlockTree


@dataclass
class Flight:
    """What a worker is making for a session.

    block: announced, and not all of its frames have come; came: how many have. below: the node below which
    a block is being made. suspect: the one below which it was when an earlier worker died.
    """

    block: m.Block | None = None
    came: int = 0
    below: int | None = None
    suspect: int | None = None

    def begun(self, parent: int) -> None:
        self.below = parent

    def announced(self, block: m.Block) -> None:
        self.block, self.came = block, 0

    def made(self, parent: int) -> None:
        """The block below a node is complete, and all of its frames have come."""
        self.block = None
        self.repeated(parent)

    def repeated(self, parent: int) -> None:
        """The block below a node was made once more: it is no reason for a worker to die."""
        self.below = None
        if parent == self.suspect:
            self.suspect = None

    def lost(self) -> bool:
        """Its worker has died; whether the session may be the reason, since it happened there before."""
        again = self.below is not None and self.below == self.suspect
        self.suspect = self.suspect if self.below is None else self.below
        self.below = None
        return again

    def past(self, tree: BlockTree, **fields) -> m.Past:
        """For the next worker; `fields` as in `Past`."""
        if self.block is not None:
            fields["unfinished"] = m.Unfinished(sent=self.came, splice=self.block.message.splice)
        return m.Past.of(tree, **fields)


@dataclass
class Move:
    """From the loss of a worker until the world stands again where it stood.

    since: when it was lost, or made progress last. told: what the new worker knows, once it is chosen.
    listening: it is there, and obeys. arrived: another player has come since `told`. loaded: the
    largest share of the checkpoint that a new worker had loaded, -1 before it began.
    """

    since: float
    progress: float | None = None
    told: m.Past | None = None
    listening: bool = False
    arrived: bool = False
    loaded: float = -1.0
