"""Commands to an engine and events from it. They wrap the browser's messages."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mgdemo.messages.browser import (
    VERSION,
    Ack,
    BlockMessage,
    Input,
    KeyFrame,
    Message,
    Pause,
    Rewind,
    Rewound,
    SameVersion,
    Step,
)
from mgdemo.messages.lending import Leased, Left
from mgdemo.messages.past import Past
from mgdemo.messages.report import Report
from mgdemo.messages.values import Count, Picture, Track
from mgdemo.settings import Settings

# To an engine


class Configure(Message):
    """The first command of all: what the operator has set, and the device of this engine."""

    type: Literal["configure"] = "configure"
    version: SameVersion = VERSION
    settings: Settings
    device: str


class Warm(Message):
    """Load a checkpoint before anybody asks for it."""

    type: Literal["warm"] = "warm"
    checkpoint: str


class Open(Message):
    """Begin a session: live, or along a track of whole blocks. With a `past` its worker was lost: it is made
    again first, unseen, and goes on where it stood. optimization: None is that of the settings.
    background: nobody watches, so it neither waits for a player nor holds up live sessions."""

    type: Literal["open"] = "open"
    session: str
    checkpoint: str
    image: Picture
    seed: int = 0
    track: Track | None = None
    past: Past | None = None
    background: bool = False
    optimization: str | None = None


class Attach(Message):
    """A player is connected: continue with a key frame, and add JPEG pictures if it needs them.

    input: what is held already; the first block may follow at once.
    """

    type: Literal["attach"] = "attach"
    session: str
    jpeg: bool = False
    input: Input | None = None


class Detach(Message):
    """The player is gone: a live session makes no blocks, and what was held is released."""

    type: Literal["detach"] = "detach"
    session: str


WorldMessage = Input | Ack | KeyFrame | Pause | Step | Rewind


class ToSession(Message):
    """Something that the visitor's page has sent, for the session's world."""

    type: Literal["to_session"] = "to_session"
    session: str
    message: Annotated[WorldMessage, Field(discriminator="type")]


class Suspend(Message):
    """Make no more blocks of a scenario for now, and free its memory on the device."""

    type: Literal["suspend"] = "suspend"
    session: str


class Continue(Message):
    """Continue a scenario that was suspended: its frames are the same as if it had not been."""

    type: Literal["continue"] = "continue"
    session: str


class Close(Message):
    """Forget a session; events that are on their way may still arrive. for_now: what makes it quick to go on
    with it in another worker stays on the disk."""

    type: Literal["close"] = "close"
    session: str
    for_now: bool = False


Command = Annotated[
    Configure | Warm | Open | Attach | Detach | ToSession | Suspend | Continue | Close,
    Field(discriminator="type"),
]


# From an engine


class Heartbeat(Message):
    """The engine lives; sent about once a second, whatever it computes.

    `stuck_seconds`: how long it has had work (a block, a checkpoint to load) without any progress in it; 0
    without work, and while nobody is there to make blocks for. `memory_bytes`: what it uses on its device, if
    that is known; `checkpoints`: the names of those that it has loaded.
    """

    type: Literal["heartbeat"] = "heartbeat"
    stuck_seconds: float = 0.0
    memory_bytes: int | None = None
    checkpoints: tuple[str, ...] = ()


class Loading(Message):
    """How much of a checkpoint is loaded (0 to 1), and what is done, in words; `error`: why it cannot be."""

    type: Literal["loading"] = "loading"
    checkpoint: str
    progress: float
    text: str
    optimization: str = ""
    error: str = ""


class Ready(Message):
    """A session's world stands at its start. `notice` is for the visitor, as in `Welcome`."""

    type: Literal["ready"] = "ready"
    session: str
    mode: str
    width: int
    height: int
    fps: int
    notice: str = ""


class Begun(Message):
    """A block below `parent` is being made from now on: if the worker dies, that may be why."""

    type: Literal["begun"] = "begun"
    session: str
    parent: Count


class Block(Message):
    """A block's first frames are made; all will follow. With a `splice` they are those of a regenerated node:
    first those from there on, which are all that a player needs, then the ones before.

    keyboard [frames, K] and mouse [frames, 2] or None made it. late_ms is by how much its first frames missed
    the moment when the visitor's player ran dry (live sessions; 0 when in time).
    """

    type: Literal["block"] = "block"
    session: str
    message: BlockMessage
    actions: Track
    late_ms: float = 0.0


class Frames(Message):
    """Successive video frames of a block, from `first` on; their pictures, too, if the player needs JPEG.

    Several at once, because each message costs both sides as much as encoding a frame. digests: of the frames
    before they were encoded, for the recording to name them.
    """

    type: Literal["frames"] = "frames"
    session: str
    node: Count
    block: Count
    first: Count
    h264: tuple[bytes, ...]
    jpeg: tuple[bytes, ...] | None = None
    digests: tuple[bytes, ...] | None = None

    @model_validator(mode="after")
    def _pictures_fit(self) -> Self:
        for several in (self.jpeg, self.digests):
            if several is not None and len(several) != len(self.h264):
                raise ValueError("as many pictures and digests as packets")
        return self


class Thumbnail(Message):
    """A small JPEG of a node's last frame."""

    type: Literal["thumbnail"] = "thumbnail"
    session: str
    node: Count
    picture: bytes


class Rewinding(Message):
    """How much of the way to a node is done (0 to 1)."""

    type: Literal["rewinding"] = "rewinding"
    session: str
    progress: float


class RewindDone(Message):
    """The session stands where it was asked to go, paused. `picture`: a JPEG of the last frame there."""

    type: Literal["rewind_done"] = "rewind_done"
    session: str
    message: Rewound
    picture: bytes


class Restoring(Message):
    """A node of the session's past was made again; `progress`: the share of the way that is done (0 to 1)."""

    type: Literal["restoring"] = "restoring"
    session: str
    node: Count
    progress: float


class Restored(Message):
    """The session stands where it did when its worker was lost, and goes on. What was missing was sent."""

    type: Literal["restored"] = "restored"
    session: str


class Standing(Message):
    """A live session makes no blocks, since nothing is held; the next input or step resumes it."""

    type: Literal["standing"] = "standing"
    session: str


class Finished(Message):
    """The track is complete; all its frames have been sent."""

    type: Literal["finished"] = "finished"
    session: str
    report: Report = Report()


class Broken(Message):
    """The device itself fails, in a sentence with a cure. The worker ends; its sessions go on in another."""

    type: Literal["broken"] = "broken"
    text: str


class Failed(Message):
    """The session cannot continue, and why, in a sentence with a cure."""

    type: Literal["failed"] = "failed"
    session: str
    text: str


Event = Annotated[
    Heartbeat
    | Loading
    | Ready
    | Begun
    | Block
    | Frames
    | Thumbnail
    | Rewinding
    | RewindDone
    | Restoring
    | Restored
    | Standing
    | Finished
    | Broken
    | Leased
    | Left
    | Failed,
    Field(discriminator="type"),
]
