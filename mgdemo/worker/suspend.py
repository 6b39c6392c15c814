"""A scenario gives its device to visitors: its world is put aside, and continues later as if nothing had
happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from mgdemo import messages as m
from mgdemo.interfaces import Model, Snapshot, World
from mgdemo.picture import prepare_image
from mgdemo.worker.sessions import Playing


@dataclass(frozen=True)
class Suspended:
    """A scenario that makes no blocks for now. playing: if it has begun, without its model and its world;
    snapshot: of that world."""

    order: m.Open
    playing: Playing | None = None
    snapshot: Snapshot | None = None

    def proceed(self, model: Model) -> Playing | None:
        """Continue, if it had begun. model: another object, perhaps, but of the same checkpoint."""
        session = self.playing
        if session is None or self.snapshot is None:
            return None
        world = model.start(prepare_image(self.order.image, *model.size), self.order.seed)
        world.restore(self.snapshot)
        session.model, session.world, session.history.world = model, world, world
        return session


def suspend(session: Playing) -> Suspended:
    """Take its world from a session, between two blocks. Nothing may be asked of it until it proceeds."""
    session.account.disturbed()
    suspended = Suspended(session.order, session, session.world.snapshot())
    session.model, session.world = cast(Model, None), cast(World, None)  # their memory is for others
    session.history.world = session.world
    return suspended


@dataclass(frozen=True)
class Waiting:
    """A session whose checkpoint is being loaded, to begin or to continue."""

    order: m.Open
    suspended: Suspended | None = None
