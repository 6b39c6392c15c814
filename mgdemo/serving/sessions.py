"""A visitor's play: how it stands, what its player sends and sees, when it ends.

Methods may be called from any thread and any event loop: the state of all sessions is guarded by their
service's lock, never held for long, and coroutines are woken in their own loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.serving import protocol
from mgdemo.serving.keeping import Keeper, Result
from mgdemo.serving.outbox import Outbox, Wake
from mgdemo.tree import START
from mgdemo.video.encode import codec_string, is_key, thumbnail
from mgdemo.worker.pace import UNACKNOWLEDGED

if TYPE_CHECKING:
    from mgdemo.serving.local import LocalEngine
    from mgdemo.serving.service import PlayService

FINAL = ("ended", "error")
GRACE = 30.0  # seconds that a play has left, at least, when somebody begins to wait
FORGET = 3600.0  # seconds after its end when a session is forgotten, if nobody has closed it
SLOW = 0.95  # of the nominal frame rate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlayRequest:
    """What to play: live, or along `track`. `image_name` is how the recorded scenario refers to the image."""

    checkpoint: str
    image: Image.Image
    seed: int = 0
    track: ActionTrack | None = None
    title: str = ""
    image_name: str | None = None


@dataclass(frozen=True)
class Status:
    """How a play stands. state: queued, loading, playing, buffering, paused, rewinding, saving, and at last
    ended or error.

    place counts from 1; progress is 0 to 1 while loading or rewinding and in scenarios; frames are those made
    so far and fps how many are made a second; seconds_left is known while waiting, where others wait, and in
    scenarios.
    """

    state: str
    text: str
    place: int | None = None
    progress: float | None = None
    frames: int = 0
    fps: float | None = None
    seconds_left: float | None = None
    result: Result | None = None


class Session:
    """One visitor's play, from the line to its files. Made by `PlayService.open`."""

    def __init__(self, service: PlayService, request: PlayRequest):
        self.token = secrets.token_urlsafe(24)
        self.request = request
        self.live = request.track is None
        self.opened = self.began = time.monotonic()  # began: when its place was given to it
        self.keeper: Keeper | None = None
        self._service, self._lock = service, service.lock
        self._wake = Wake()
        self._state, self._text = "queued", ""
        self._progress: float | None = None
        self.outcome: tuple[str, str] | None = None  # the final state and text, from the moment of the end
        self._ended = math.inf
        self._result: Result | None = None
        self._engine: LocalEngine | None = None
        self._format: m.Ready | None = None
        # the player
        self._outbox: Outbox | None = None
        self._codec = ""
        self._input: protocol.Input | None = None
        self._met = False  # a player has been there
        self._pages = 0  # that follow it
        self.left = False  # its pages are gone, perhaps to come back
        self._since = math.inf  # when the player came or went
        self._active = math.inf  # when the last input came
        self._paused = False
        self._nodes: dict[int, tuple[int, int]] = {}  # each node's parent and block
        self._head = START
        self._thumbnails: dict[int, bytes] = {}
        self._blocks = self._acknowledged = 0
        self._unanswered: float | None = None  # since when data waits to be acknowledged
        self._recent: deque[tuple[float, int, bool]] = deque(maxlen=6)  # blocks: when, frames, too slow?
        self._frames = 0  # up to the head
        self._made = 0  # of all branches
        self._splice = 0  # from which frame on the block at hand is shown

    # For the page

    async def statuses(self) -> AsyncIterator[Status]:
        """How it stands: at every change and at least once a second, up to "ended" or "error"."""
        with self._wake.listen() as changed:
            while True:
                changed.clear()
                status = self.status()
                yield status
                if status.state in FINAL:
                    return
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), 1.0)

    async def stop(self) -> Result | None:
        """End the play and wait for its files; None if there was nothing to keep."""
        self.end("ended", "Stopped.")
        await self._settled()
        return self._result

    async def close(self) -> None:
        """Clean up: a play that still goes on ends, its files are written, and the token becomes unknown.

        The end itself happens at once, even if the waiting is cancelled. Files stay until they are pruned.
        """
        self.end("ended", "The page was closed.")
        await self._settled()
        self._service.forget(self)

    def come(self) -> None:
        """A page follows the play, until it must `leave`."""
        with self._lock:
            self._pages += 1
            self.left = False

    def leave(self) -> None:
        """A page is gone. Without any, a play waits as for a lost line, but only while nobody else waits."""
        with self._lock:
            self._pages = max(0, self._pages - 1)
            self.left = not self._pages
            if self.left and self._state == "queued":
                self.end("ended", "The page was closed.")
            self._service.admit()

    def status(self) -> Status:
        with self._lock:
            place = seconds_left = fps = None
            state, text, progress = self._state, self._text, self._progress
            if state == "queued":
                place, seconds_left, text = self._service.waiting(self)
            elif state == "playing" and self._paused:
                state, text = "paused", "Paused."
            elif state == "playing":
                fps = self._rate()
                state, text = self._playing_state(fps)
                if self.live:
                    seconds_left = self._service.limit(self)
                    if seconds_left is not None and seconds_left <= GRACE and state == "playing":
                        text = f"Others are waiting: this play ends in {duration(seconds_left)}."
                else:
                    progress = self._frames / len(self.request.track)
                    seconds_left = (len(self.request.track) - self._frames) / fps if fps else None
            return Status(state, text, place, progress, self._frames, fps, seconds_left, self._result)

    def _playing_state(self, fps: float | None) -> tuple[str, str]:
        if not self.live:
            return "playing", f"Frame {self._frames} of {len(self.request.track)}."
        if self._outbox is None:
            if self._met:
                return "buffering", "The line to your browser is interrupted; the play waits for it."
            return "buffering", "Waiting for the player on your page."
        if self._behind():
            return "buffering", "Your line is slow; the play waits until it has caught up."
        nominal = self._format.fps
        if fps is not None and fps < SLOW * nominal and all(slow for _, _, slow in self._recent):
            return "playing", f"Making {fps:.0f} frames/s of {nominal}: playback is slowed evenly."
        return "playing", ""

    def _behind(self) -> bool:
        """Whether live play waits for acknowledgements."""
        return self.live and self._blocks - self._acknowledged > UNACKNOWLEDGED

    @property
    def due(self) -> bool:
        """Whether something must come from its worker. With the lock held."""
        if self._state != "playing" or not self.live:
            return self._state in ("loading", "playing", "rewinding")
        return self._outbox is not None and not self._behind() and not self._paused

    def _rate(self) -> float | None:
        """Frames made a second, over the last few blocks."""
        if len(self._recent) < 3:
            return None
        seconds = self._recent[-1][0] - self._recent[0][0]
        return sum(frames for _, frames, _ in list(self._recent)[1:]) / max(seconds, 1e-3)

    async def _settled(self) -> None:
        with self._wake.listen() as changed:
            while self._state not in FINAL:
                await changed.wait()
                changed.clear()

    # For the live transport

    def attach(self, outbox: Outbox, codec: str) -> None:
        """A player is there; what it is to see goes to `outbox`. An earlier one is let go."""
        with self._lock:
            if self._outbox is not None:
                self._outbox.close(protocol.REPLACED, "The play goes on in another connection.")
            self._outbox, self._codec, self._input = outbox, codec, None
            self._since = self._active = time.monotonic()
            self._met, self.left = True, False
            if self._format is not None and self.outcome is None:
                self._welcome()
        self._wake.set()

    def detach(self, outbox: Outbox) -> None:
        """The player is gone, unless another has taken its place."""
        with self._lock:
            if outbox is not self._outbox:
                return
            self._outbox, self._since, self._unanswered = None, time.monotonic(), None
            self._tell(m.Detach(session=self.token))
        self._wake.set()

    def receive(self, outbox: Outbox, message: protocol.ClientMessage) -> None:
        """Obey a player's message. Raises BadMessage."""
        with self._lock:
            if outbox is not self._outbox or self.outcome is not None:
                return
            match message:
                case protocol.Hello():
                    raise protocol.BadMessage("hello comes first, and once")
                case protocol.Stop():
                    self.end("ended", "Stopped.")
                case protocol.KeyFrame():
                    self._pass(m.KeyFrame())
                case protocol.Input():
                    self._input, self._active = message, time.monotonic()
                    self._pass_input()
                case protocol.Ack(block, buffer_ms):
                    self._acknowledge(block, buffer_ms)
                case protocol.Pause(on) if self.live:
                    self._paused, self._active = on, time.monotonic()
                    self._recent.clear()  # the pause says nothing about the device
                    self._pass(m.Pause(on=on))
                    self._wake.set()
                case protocol.Step() if self._paused:
                    self._active = time.monotonic()
                    self._pass(m.Step())
                case protocol.Rewind(node) if self.live:
                    self._rewind(node)

    def _rewind(self, node: int) -> None:
        if self._state not in ("playing", "rewinding") or node not in {START, *self._nodes}:
            return
        self._active = time.monotonic()
        self._state, self._text, self._progress = "rewinding", "Going back.", 0.0
        self._pass(m.Rewind(node=node))
        self._wake.set()

    def _acknowledge(self, block: int, buffer_ms: float) -> None:
        if block == self._blocks - 1 < self._acknowledged and self.live:  # said again, after a pause
            self._pass(m.Ack(block=block, buffer_ms=buffer_ms))
        if not self._acknowledged <= block < self._blocks:
            return
        if self._behind():
            self._recent.clear()  # the pause says nothing about the device
            self._wake.set()
        self._acknowledged = block + 1
        self._unanswered = time.monotonic() if self._blocks > self._acknowledged else None
        if self.live:
            self._pass(m.Ack(block=block, buffer_ms=buffer_ms))

    def _welcome(self) -> None:
        """Tell the player what comes, and the worker that it is there."""
        form, request = self._format, self.request
        self._outbox.text(
            protocol.Welcome(
                codec=self._codec,
                codec_string=codec_string(form.width, form.height, form.fps),
                width=form.width,
                height=form.height,
                fps=form.fps,
                mode=form.mode,
                seed=request.seed,
                checkpoint=request.checkpoint,
                frames=None if self.live else len(request.track),
                paused=self._paused,
                head=self._head,
                nodes=[(node, *at) for node, at in self._nodes.items()],
            ).json()
        )
        self._acknowledged, self._unanswered = self._blocks, None
        self._recent.clear()
        self._tell(m.Attach(session=self.token, jpeg=self._codec == "jpeg"))
        self._pass_input()

    def _pass_input(self) -> None:
        if self.live and self._input is not None:
            last = self._input
            self._pass(m.Input(held=last.held, camera=last.camera, input_seq=last.seq))

    def _pass(self, message: m.ClientMessage) -> None:
        self._tell(m.ToSession(session=self.token, message=message))

    def _tell(self, command: m.Command) -> None:
        if self._engine is not None and self._format is not None:
            self._engine.send(command)

    # For the service and its engine; with the lock held

    def begin(self, engine: LocalEngine) -> None:
        """The play has its place."""
        request = self.request
        self._engine, self.began = engine, time.monotonic()
        self._state, self._text, self._progress = "loading", "Starting the engine", 0.0
        engine.send(
            m.Open(
                session=self.token,
                checkpoint=request.checkpoint,
                image=request.image,
                seed=request.seed,
                track=request.track,
            )
        )
        self._wake.set()

    def moved(self) -> None:
        """Its place in line has changed."""
        self._wake.set()

    def loading(self, event: m.Loading, engine: LocalEngine) -> None:
        wanted = self.request.checkpoint == event.checkpoint
        if wanted and self._state == "loading" and self._engine is engine:
            self._text, self._progress = event.text, event.progress
            self._wake.set()

    def handle(self, event: m.Event) -> None:
        if self.outcome is not None:
            return
        match event:
            case m.Frame():
                self.keeper.frame(event.node, event.frame, event.h264)
                if event.frame >= self._splice:
                    self._frames = event.frame + 1
                    if self._outbox is not None:
                        self._show(event)
            case m.Block():
                self._block(event)
            case m.Thumbnail():
                self._thumbnails[event.node] = event.picture
            case m.Ready():
                self._format = event
                self._state, self._text, self._progress = "playing", "", None
                self._since = time.monotonic()
                folder, name = self._service.settings.record_dir, self.request.checkpoint
                self.keeper = Keeper(folder, name, event.width, event.height, event.fps)
                if self._outbox is not None:
                    self._welcome()
                self._wake.set()
            case m.Rewinding():
                self._progress = event.progress
                self._wake.set()
            case m.RewindDone():
                self._rewound(event)
            case m.Finished():
                self.end("ended", "The scenario is complete.")
            case m.Failed():
                self.end("error", event.text)

    def end(self, state: str, text: str) -> None:
        """End the play, once: give its place away and have its files written."""
        with self._lock:
            if self.outcome is not None:
                return
            self.outcome, self._ended = (state, text), time.monotonic()
            if self._engine is not None:
                self._engine.send(m.Close(session=self.token))
            if self.keeper is None:
                self._settle(None)
            else:
                self._state, self._text = "saving", "Writing the recording."
            self._service.left(self)
        self._wake.set()

    def save(self) -> None:
        """Write the files; takes its time. Called by the service after the end, without the lock."""
        request, result = self.request, None
        title = request.title or f"A play of {request.checkpoint}"
        try:
            overlay = not self._service.closing  # it takes long, and nobody would see it
            words = (title, request.checkpoint, request.image_name, request.seed)
            result = self.keeper.finish(self._head, *words, overlay, request.image)
        except Exception:
            log.exception("The files of a play could not be written.")
            self.keeper.trouble = "The recording could not be written; see the server's log."
        with self._lock:
            self._settle(result)

    def _settle(self, result: Result | None) -> None:
        self._result, (self._state, self._text) = result, self.outcome
        if self.keeper is not None and self.keeper.trouble:
            self._text += f" {self.keeper.trouble}"
        self._wake.set()

    def tick(self, now: float) -> None:
        """End what has lasted too long."""
        settings = self._service.settings
        if self.outcome is not None:
            if self._state in FINAL and now - self._ended > FORGET:
                self._service.forget(self)
            return
        if self._unanswered is not None and now - self._unanswered > settings.ack_seconds:
            outbox = self._outbox
            self.detach(outbox)
            outbox.close(protocol.LOST_LINE, "No answer for too long; connect again.")
        if self._format is None or not (self.live or self.left):
            return
        if self._input is not None and (self._input.held or any(self._input.camera)):
            self._active = now
        limit = self._service.limit(self)
        if self._outbox is None and now - self._since > settings.reconnect_seconds:
            if self._met or self.left:
                self.end("ended", "The line to your browser was lost. Press Start to play again.")
            else:
                self.end(
                    "error",
                    "The player on your page could not reach the server. Reload the page; behind a proxy, it "
                    "has to pass WebSockets.",
                )
        elif limit is not None and limit <= 0:
            self.end("ended", "Your time was up, since others are waiting. Press Start to get in line again.")
        elif self._paused and not self._service.crowded:
            pass  # nobody needs the place
        elif settings.idle_seconds and now - self._active > settings.idle_seconds:
            idle = duration(settings.idle_seconds)
            self.end("ended", f"Nothing was pressed for {idle}. Press Start to play again.")
        elif self._made >= settings.record_seconds * self._format.fps:
            length = duration(settings.record_seconds)
            self.end("ended", f"The recording has reached its {length}. Press Start to play again.")

    def _block(self, event: m.Block) -> None:
        now, block = time.monotonic(), event.message
        again = block.splice is not None
        self.keeper.block(block.node, block.parent, event.actions)
        self._head, self._nodes[block.node] = block.node, (block.parent, block.block)
        self._blocks, self._splice = block.block + 1, block.splice or 0
        self._made += 0 if again else block.frames
        if block.block and not again:  # the first one is shorter, and warms the device up
            # A player that has slowed down gets even slow blocks in time.
            slow = event.late_ms > 0 or block.made_ms > 1000 * block.frames / self._format.fps
            self._recent.append((now, block.frames, slow))
        late = event.late_ms > 0
        self._service.counts.update(
            blocks=not again, remade_blocks=again, frames=block.frames, late_blocks=late
        )
        if self._outbox is None:
            return
        if self._unanswered is None and not again:  # players don't acknowledge those
            self._unanswered = now
        if self._behind():
            self._wake.set()
        self._outbox.text(
            protocol.BlockMessage(
                node=block.node,
                parent=block.parent,
                block=block.block,
                first_frame=block.first_frame,
                frames=block.frames,
                splice=block.splice,
                seq=block.input_seq,
                held=block.held,
                camera=block.camera,
                made_ms=block.made_ms,
                timings=block.timings,
            ).json()
        )

    def _show(self, event: m.Frame) -> None:
        if self._codec == "h264":
            key, payload = is_key(event.h264), event.h264
        else:
            key, payload = True, event.jpeg
        if payload is not None:  # JPEG pictures begin when the worker has heard of the player
            packet = protocol.frame_packet(self._codec, key, event.frame, event.block, event.node, payload)
            self._outbox.frame(packet, key)

    def _rewound(self, event: m.RewindDone) -> None:
        at = event.message
        self._state, self._paused, self._progress = "playing", True, None
        self._head, self._frames = at.node, at.frames
        self._blocks = self._acknowledged = at.block + 1
        self._unanswered = None
        self._recent.clear()
        if self._outbox is not None:
            self._outbox.text(protocol.Rewound(at.node, at.block, at.frames).json())
            index = max(0, at.frames - 1)
            packet = protocol.frame_packet("jpeg", True, index, at.block, at.node, event.picture)
            self._outbox.frame(packet, key=True)
        self._wake.set()

    def making(self, node: int) -> bool:
        """Whether a node is announced and its frames are on their way."""
        return self.outcome is None and node == self._head and node not in self._thumbnails

    def thumbnail(self, node: int) -> bytes | None:
        """A small JPEG of a node's last frame; that of the start is the start image."""
        if node == START and START not in self._thumbnails:
            self._thumbnails[START] = thumbnail(np.asarray(self.request.image.convert("RGB")))
        return self._thumbnails.get(node)


def duration(seconds: float) -> str:
    """Seconds in words, rounded up: "20 seconds", "5 minutes"."""
    count, unit = (math.ceil(seconds), "second") if seconds <= 90 else (math.ceil(seconds / 60), "minute")
    return f"{count} {unit}{'s' * (count != 1)}"
