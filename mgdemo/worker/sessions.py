"""A worker's sessions that play."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mgdemo import messages as m
from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import BLOCK_FRAMES
from mgdemo.collapse import Soundness
from mgdemo.interfaces import Model
from mgdemo.picture import prepare_image
from mgdemo.settings import Settings
from mgdemo.video.encode import H264Encoder
from mgdemo.worker.account import Account
from mgdemo.worker.failures import SessionError
from mgdemo.worker.history import History
from mgdemo.worker.input import Input, idle
from mgdemo.worker.pace import Pace, Splice
from mgdemo.worker.schedule import PATIENCE, Job, Turn
from mgdemo.worker.spool import Spool

AUDIENCE = 2.0  # seconds for which a scenario waits for its visitor's player, so that all of it is seen


@dataclass
class Player:
    """The visitor's player, as far as a worker knows it."""

    awaited_until: float = -math.inf  # by a scenario
    attached: bool = False
    jpeg: bool = False  # it needs JPEG pictures
    wants_key: bool = True  # the next packet has to be a key frame


@dataclass(frozen=True)
class Making:
    """A block that has begun, whose frames are still to be sent."""

    actions: ActionTrack
    pieces: Iterator[np.ndarray]
    began: float
    input_seq: int  # the latest input that it obeys


@dataclass
class Rewinding:
    """The nodes to be made again until the session is where it rewinds to."""

    way: deque[int]
    length: int

    @property
    def progress(self) -> float:
        return 1 - len(self.way) / self.length


@dataclass
class Restoring(Rewinding):
    """The same until it is where it was when its worker was lost, and what its player lacks of the last one.

    show: a player has come in a pause, and has nothing to show yet.
    """

    unfinished: m.Unfinished | None
    show: bool = False


@dataclass
class Idling:
    """After how many idle blocks a picture stands (0: never), and whether that has been reported."""

    blocks: int
    told: bool = False


@dataclass
class Pausing:
    """A visitor's pause, in which blocks are only made step by step."""

    on: bool = False
    steps: int = 0  # blocks to make nevertheless


class Playing:
    """A session with its world, its latest input, and what is known of its visitor's player.

    Raises SessionError for a scenario of another mode. load_seconds: that its checkpoint took, if it did.
    """

    def __init__(
        self,
        order: m.Open,
        model: Model,
        encoder: H264Encoder,
        settings: Settings,
        now: float,
        load_seconds: float | None = None,
    ):
        began = time.monotonic()
        if order.track is not None and order.track.mode != model.mode:
            raise SessionError(
                f"This scenario is for {MODES[order.track.mode].title}, but {order.checkpoint} plays "
                f"{MODES[model.mode].title}: choose a checkpoint of the scenario's mode."
            )
        height, width = model.size
        start = prepare_image(order.image, height, width)
        world, picture = model.start(start, order.seed), np.asarray(start)
        self.order, self.model, self.world, self.encoder = order, model, world, encoder
        spool = Spool(order.session, goes_on=order.past is not None)
        self.history = History(world, picture, settings.rewind_megabytes * 10**6, spool)
        self.soundness = Soundness(picture)
        awaited_until = -math.inf if order.background else now + AUDIENCE
        self.input, self.pace, self.player = Input(), Pace(fps=model.fps, served=now), Player(awaited_until)
        self.pausing = Pausing()
        self.making: Making | None = None
        self.repeating: Rewinding | None = None
        self._last: ActionTrack | None = None  # of the last block, as long as it can be regenerated
        blocks = settings.stand_seconds * model.fps / BLOCK_FRAMES
        self._idling = Idling(max(1, round(blocks)) if MODES[model.mode].stands and blocks else 0)
        self.account = Account(load_seconds, time.monotonic() - began)

    @property
    def session(self) -> str:
        return self.order.session

    @property
    def live(self) -> bool:
        return self.order.track is None

    @property
    def finished(self) -> bool:
        """Whether a scenario's last block is made."""
        track = None if self.repeating is not None else self.order.track
        return track is not None and self.pace.blocks >= track.blocks

    @property
    def standing(self) -> bool:
        """Whether its picture stands still and is left alone: nothing is held, and nothing was recently."""
        blocks = self._idling.blocks if self.live else 0
        busy = self.making is not None or self.repeating is not None
        if not blocks or self.pausing.on or self.pausing.steps or busy:
            return False
        tree, still = self.history.tree, 0
        node = tree[tree.head]
        while still < blocks and node.actions is not None and idle(node.actions):
            node, still = tree[node.parent], still + 1
        return still == blocks and self.input.idle(self.model.mode)

    def attach(self, jpeg: bool) -> None:
        """A player is there, and has nothing to show yet: a picture that stands comes to it paused."""
        self.input.release()
        self.pausing.on, self.pausing.steps = self.pausing.on or self.standing, 0
        self._idling.told = False
        self.player.attached, self.player.jpeg, self.player.wants_key = True, jpeg, True
        if isinstance(self.repeating, Restoring):
            self.repeating.show = True
        self.reset_to_head()

    def begins_to_stand(self, now: float) -> bool:
        """Whether it stands, and did not when this was last asked."""
        before, self._idling.told = self._idling.told, self.standing
        if before and not self.standing and self.pace.dry < now:  # the player has nothing left, and waits
            self.reset_to_head()
        return self._idling.told and not before

    def turn(self, now: float, regenerates: bool) -> Turn | None:
        """What it could do next, if anything."""
        if self.making is not None:
            return None
        pace = self.pace
        if self.repeating is not None:
            longest = pace.cost.high
            restoring = isinstance(self.repeating, Restoring) and not self.order.background
            # A visitor waits for a world to be restored: it gets half of the device's time, at least.
            patience = longest if restoring else PATIENCE
            return Turn(self.session, Job.REPEAT, longest=longest, served=pace.served, patience=patience)
        if not self.live:
            opens = -math.inf if self.player.attached or pace.blocks else self.player.awaited_until
            background = self.order.background
            return Turn(
                self.session, longest=pace.cost.high, served=pace.served, opens=opens, background=background
            )
        resting = self.pausing.on or self.standing
        if not self.player.attached or pace.behind or (resting and not self.pausing.steps):
            return None
        first, cost = pace.expected(self.world.frames_next)
        return Turn(
            self.session,
            due=pace.dry,
            first=first,
            cost=cost,
            longest=pace.cost.high,
            served=pace.served,
            opens=pace.opens,
            splice=self._splice(now) if regenerates and not self.pausing.on else None,
        )

    def _splice(self, now: float) -> Splice | None:
        if self._last is None or not self.world.can_regenerate:
            return None
        splice = self.pace.splice(now)
        return splice if splice is not None and self.input.differs(self._last) else None

    def begin(self, now: float) -> Making:
        """Begin the next block: under what is held now, or the scenario's actions."""
        if self.order.track is not None:
            actions = self.order.track.block(self.pace.blocks)
        else:
            self.history.snapshot()  # now that the last block stays as it is
            actions = self.input.sample(self.model.mode, self.world.frames_next)
            self.pausing.steps = max(0, self.pausing.steps - 1)
        self._last = actions
        self.making = Making(actions, self.world.stream(actions), now, self.input.input_seq)
        return self.making

    def regenerate(self, splice: int) -> np.ndarray:
        """Make the last block again, under what is held now from video frame `splice` on; all its frames."""
        tree, made = self.history.tree, self._last
        assert made is not None
        rest = self.pace.frames - splice
        changed = self.input.resample(self.model.mode, rest)
        self._last = ActionTrack.concat([made.frames(0, len(made) - rest), changed])
        tree.put(tree.head, tree[tree.head].parent, self._last)
        return self.world.regenerate(self._last)

    def reset_to_head(self) -> None:
        """Nothing is on its way to the player any more, and no block can be regenerated."""
        tree = self.history.tree
        self.pace.reset_to(tree.blocks, tree.frames)
        self._last = None
