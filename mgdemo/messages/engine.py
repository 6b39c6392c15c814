"""Commands to an engine and events from it. They wrap the browser's messages."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import numpy as np
from PIL import Image
from pydantic import Field, PlainSerializer, PlainValidator, model_validator

from mgdemo.actions import ActionTrack
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
from mgdemo.settings import Settings

Count = Annotated[int, Field(ge=0, le=2**32 - 1)]

# Values between server and engine that JSON does not know; they travel as bytes


def _to_array(value: Any) -> np.ndarray:
    match value:
        case np.ndarray():
            return value
        case {"dtype": "uint8" | "float32" as dtype, "shape": [*shape], "data": bytes(data)}:
            if all(type(size) is int and 0 <= size < 2**31 for size in shape):
                return np.frombuffer(data, dtype).reshape(shape)  # a ValueError if they don't fit
    raise ValueError("no array")


def _to_image(value: Any) -> Image.Image:
    match value:
        case Image.Image():
            return value
        case {"size": [int(width), int(height)], "data": bytes(data)} if width > 0 and height > 0:
            if len(data) == 3 * width * height:
                return Image.frombytes("RGB", (width, height), data)
    raise ValueError("no image")


def _to_track(value: Any) -> ActionTrack:
    match value:
        case ActionTrack():
            return value
        case {"mode": str(mode), "keyboard": keyboard, "mouse": mouse}:
            return ActionTrack(mode, _to_array(keyboard), None if mouse is None else _to_array(mouse))
    raise ValueError("no track")


def _of_array(value: np.ndarray) -> dict:
    return {"dtype": value.dtype.name, "shape": list(value.shape), "data": value.tobytes()}


def _of_image(image: Image.Image) -> dict:
    return {"size": list(image.size), "data": image.convert("RGB").tobytes()}


def _of_track(track: ActionTrack) -> dict:
    mouse = None if track.mouse is None else _of_array(track.mouse)
    return {"mode": track.mode, "keyboard": _of_array(track.keyboard), "mouse": mouse}


Picture = Annotated[Image.Image, PlainValidator(_to_image), PlainSerializer(_of_image)]
Track = Annotated[ActionTrack, PlainValidator(_to_track), PlainSerializer(_of_track)]


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
    """Begin a session: live, or along a track of whole blocks."""

    type: Literal["open"] = "open"
    session: str
    checkpoint: str
    image: Picture
    seed: int = 0
    track: Track | None = None


class Attach(Message):
    """A player is connected: continue with a key frame, and add JPEG pictures if it needs them."""

    type: Literal["attach"] = "attach"
    session: str
    jpeg: bool = False


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


class Close(Message):
    """Forget a session. Events that are on their way may still arrive."""

    type: Literal["close"] = "close"
    session: str


Command = Annotated[
    Configure | Warm | Open | Attach | Detach | ToSession | Close, Field(discriminator="type")
]


# From an engine


class Heartbeat(Message):
    """The engine lives; sent about once a second, whatever it computes.

    `stuck_seconds`: how long it has had work (a block, a checkpoint to load) without any progress in it; 0
    without work, and while nobody is there to make blocks for.
    """

    type: Literal["heartbeat"] = "heartbeat"
    stuck_seconds: float = 0.0


class Loading(Message):
    """How much of a checkpoint is loaded (0 to 1), and what is being done, in words."""

    type: Literal["loading"] = "loading"
    checkpoint: str
    progress: float
    text: str


class Ready(Message):
    """A session's world stands at its start."""

    type: Literal["ready"] = "ready"
    session: str
    mode: str
    width: int
    height: int
    fps: int


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

    Several at once, because each message costs both sides as much as encoding a frame.
    """

    type: Literal["frames"] = "frames"
    session: str
    node: Count
    block: Count
    first: Count
    h264: tuple[bytes, ...]
    jpeg: tuple[bytes, ...] | None = None

    @model_validator(mode="after")
    def _pictures_fit(self) -> Self:
        if self.jpeg is not None and len(self.jpeg) != len(self.h264):
            raise ValueError("as many pictures as packets")
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


class Standing(Message):
    """A live session makes no blocks, since nothing is held; the next input or step resumes it."""

    type: Literal["standing"] = "standing"
    session: str


class Finished(Message):
    """The track is complete; all its frames have been sent."""

    type: Literal["finished"] = "finished"
    session: str


class Failed(Message):
    """The session cannot continue, and why, in a sentence with a cure."""

    type: Literal["failed"] = "failed"
    session: str
    text: str


Event = Annotated[
    Heartbeat
    | Loading
    | Ready
    | Block
    | Frames
    | Thumbnail
    | Rewinding
    | RewindDone
    | Standing
    | Finished
    | Failed,
    Field(discriminator="type"),
]
