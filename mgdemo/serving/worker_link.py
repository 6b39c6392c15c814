"""The server's end of the connection to a session's worker: what it is told, and its successor."""

from __future__ import annotations

import time
from collections.abc import Callable

from mgdemo import messages as m
from mgdemo.actions import MODES
from mgdemo.serving.moving import Flight, Move
from mgdemo.serving.player_link import PlayerLink
from mgdemo.tree import BlockTree

MOVE_SECONDS = 180.0  # without progress, after which a move is given up: starting and loading take a while


class WorkerLink:
    """One session's worker: the one that plays it, none, or a new one that restores it. Guarded by the
    session's lock.

    send: gives a command to its engine; player: of the same session.
    """

    def __init__(self, ready: m.Ready, send: Callable[[m.Command], None], player: PlayerLink):
        self.flight = Flight()
        self.move: Move | None = None  # while it has no worker, or a new one restores it
        self._session, self._mode, self._send, self._player = ready.session, MODES[ready.mode], send, player
        self._wish: m.Step | m.Rewind | None = None  # that no worker has fulfilled yet

    def tell(self, message: m.WorldMessage) -> None:
        """Pass a message on, where there is a worker that listens."""
        if self._heard:
            message = self._known(message) if isinstance(message, m.Input) else message
            self._send(m.ToSession(session=self._session, message=message))

    def steers(self, message: m.Input) -> bool:
        """Whether anything is held that this mode has; else no block may come for it."""
        return bool(self._known(message).held) or any(message.camera)

    def ask(self, wish: m.Step | m.Rewind) -> None:
        """Tell it now, or when the world stands where it stood."""
        self._wish = wish
        if self.move is None:
            self.tell(wish)

    def is_asked(self, wish: m.Step | m.Rewind) -> bool:
        """Whether this is what it was asked for last, and has not done yet."""
        return self._wish == wish

    def announced(self, block: m.Block) -> None:
        """A block is on its way: that is the step that was asked for, if one was."""
        self.flight.announced(block)
        self._wish = None if isinstance(self._wish, m.Step) else self._wish

    def rewound(self) -> None:
        self._wish = self.flight.below = None

    def attach(self) -> None:
        """A player is connected, and gets what is made from here on."""
        if self._heard:
            held = None if self._player.input is None else self._known(self._player.input)
            jpeg = self._player.codec == "jpeg"
            self._send(m.Attach(session=self._session, jpeg=jpeg, input=held))
        elif self.move is not None:
            self.move.arrived = True

    def detach(self) -> None:
        if self._heard:
            self._send(m.Detach(session=self._session))

    # From the loss of a worker on

    def lost(self, now: float) -> bool:
        """Wait for a new worker; whether this one may have died of the session, as one did before."""
        before = self.move or Move(now)
        self.move = Move(before.since, loaded=before.loaded)
        self._player.excuse()
        return self.flight.lost()

    def stranded(self, now: float) -> bool:
        """Whether it has waited too long for a new worker."""
        return self.move is not None and now - self.move.since > MOVE_SECONDS

    def moved(self, send: Callable[[m.Command], None], tree: BlockTree, *, paused: bool) -> m.Past:
        """A new worker is chosen, and `send` reaches it: what it has to restore."""
        assert self.move is not None
        attached, jpeg = self._player.connected, self._player.codec == "jpeg"
        past = self.flight.past(tree, paused=paused, attached=attached, jpeg=jpeg)
        self._send, self.move.told, self.move.arrived = send, past, False
        return past

    def listens(self, *, paused: bool) -> None:
        """The new worker listens: what has changed since it was chosen."""
        move = self.move
        if move is None or move.told is None:
            return
        move.listening = True
        if move.arrived and self._player.connected:
            self.attach()
        elif move.told.attached and not self._player.connected:
            self.detach()
        if move.told.paused != paused:
            self.tell(m.Pause(on=paused))
        if self._player.input is not None:
            self.tell(self._player.input)

    def loading(self, progress: float) -> None:
        """The new worker loads what the session is played with; to load the same again is no progress."""
        if self.move is not None and progress > self.move.loaded:
            self.move.loaded, self.move.since = progress, time.monotonic()

    def restoring(self, progress: float) -> None:
        if self.move is not None:
            self.move.progress, self.move.since = progress, time.monotonic()

    def restored(self) -> None:
        """The world stands where it stood."""
        self.move = None
        if self._wish is not None:
            self.tell(self._wish)

    @property
    def _heard(self) -> bool:
        """Whether there is a worker that listens."""
        return self.move is None or self.move.listening

    def _known(self, message: m.Input) -> m.Input:
        """Only what can be held in this mode; a worker keeps what was pressed until it makes a block."""
        held = tuple(control.spelled(key) for key in message.held if (control := self._mode.control(key)))
        return message.model_copy(update={"held": held})
