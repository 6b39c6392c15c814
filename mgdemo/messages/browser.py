"""Messages between browser and server, over the live WebSocket: JSON objects, and packets of video."""

from __future__ import annotations

import struct
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

VERSION = 5
CODECS = {"h264": 1, "jpeg": 2}  # and their number in a packet's header
PACKET_HEADER = struct.Struct("<BBHIII")  # codec, key, 0, frame, block, node

# WebSocket close codes
BAD_MESSAGE, UNKNOWN, CONNECTION_LOST, REPLACED, TOO_MANY = 4400, 4404, 4408, 4409, 4429

MAX_TEXT = 4096  # characters of a client's message
MAX_HELD = 32  # keys held at once
MAX_BUFFER_MS = 60_000.0

Phase = Literal[
    "queued",
    "loading",
    "playing",
    "buffering",
    "standing",
    "paused",
    "rewinding",
    "saving",
    "ended",
    "error",
]
Lease = Literal["wanted", "over"]
Outcome = Literal["ended", "error"]
Warned = Literal["collapsed"]


class BadMessage(ValueError):
    """Text or bytes that are no message of this protocol; says what is wrong."""


class Message(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        arbitrary_types_allowed=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,  # what the server sends is always complete
    )


# From the browser


def _clamp(low: float, high: float) -> AfterValidator:
    return AfterValidator(lambda value: max(low, min(high, value)))


Axis = Annotated[float, _clamp(-1.0, 1.0)]


def _same_version(version: int) -> int:
    if version != VERSION:
        raise PydanticCustomError(
            "version",
            "this page speaks version {theirs}, the server {ours}: reload the page",
            {"theirs": version, "ours": VERSION},
        )
    return version


SameVersion = Annotated[int, AfterValidator(_same_version)]


def _known_codecs(names: tuple[str, ...]) -> tuple[str, ...]:
    known = tuple(name for name in names if name in CODECS)
    if not known:
        raise PydanticCustomError("codecs", "the codecs are h264 and jpeg")
    return known


class Hello(Message):
    """The first message: the codecs that the client can show, best first. Others than ours are ignored."""

    type: Literal["hello"] = "hello"
    version: SameVersion
    codecs: Annotated[tuple[str, ...], AfterValidator(_known_codecs)]


class Input(Message):
    """All keys that are held from now on, in the order of pressing, and the analog camera (pitch, yaw).

    `input_seq` counts a page's inputs; it comes back in the first block that obeys this one.
    """

    type: Literal["input"] = "input"
    held: Annotated[tuple[str, ...], Field(max_length=MAX_HELD)]
    camera: tuple[Axis, Axis] = (0.0, 0.0)
    input_seq: int = 0


class Ack(Message):
    """Block `block` has arrived; `buffer_ms` of video are not yet shown. Said again after a pause."""

    type: Literal["ack"] = "ack"
    block: int
    buffer_ms: Annotated[float, _clamp(0.0, MAX_BUFFER_MS)]


class KeyFrame(Message):
    """The decoder failed and needs a key frame."""

    type: Literal["keyframe"] = "keyframe"


class Pause(Message):
    """Stop or resume making blocks of a live session. A hidden page pauses in the same way."""

    type: Literal["pause"] = "pause"
    on: bool


class Step(Message):
    """While paused or standing: make one block."""

    type: Literal["step"] = "step"


class Rewind(Message):
    """Go to the end of a node, and pause there."""

    type: Literal["rewind"] = "rewind"
    node: int


class GoOn(Message):
    """While the session rests (`Status.lease` "over"): it wants a device again."""

    type: Literal["go_on"] = "go_on"


class Stop(Message):
    """The visitor ends the session."""

    type: Literal["stop"] = "stop"


ClientMessage = Annotated[
    Hello | Input | Ack | KeyFrame | Pause | Step | Rewind | GoOn | Stop, Field(discriminator="type")
]


# To the browser


class Welcome(Message):
    """What will be shown and how. `frames` is the length of a scenario and null in live sessions.

    `nodes` are all nodes made so far, as [node, parent, block]; the session stands at `head`. The server
    keeps the session for `reconnect_seconds` without a connection. `notice` is a sentence about how the world
    runs, with a cure, or "".
    """

    type: Literal["welcome"] = "welcome"
    version: int = VERSION
    codec: str
    codec_string: str  # for WebCodecs
    width: int
    height: int
    fps: int
    mode: str
    seed: int
    checkpoint: str
    frames: int | None
    paused: bool
    head: int
    nodes: list[tuple[int, int, int]]
    reconnect_seconds: float
    notice: str = ""


class Status(Message):
    """The state of a session, and a sentence about it.

    `position` in the queue counts from 1. `progress` is 0 to 1 while loading or rewinding, and in scenarios.
    `frames` are those made so far, `fps` how many are made per second. `seconds_left` is known in the queue,
    where others wait, and in scenarios. `warning` "collapsed": the picture is no world any more; the best
    node to rewind to is `rewind_to`. `outlook` is what the server is about to do, in a sentence, if anything.

    Where devices are only lent: `lease` "wanted" asks the page for the Gradio event `lease` with the token;
    "over": the session rests until `GoOn`; `lease_seconds` are left of the device's time.
    """

    type: Literal["status"] = "status"
    phase: Phase
    text: str
    position: int | None = None
    progress: float | None = None
    frames: int = 0
    fps: float | None = None
    seconds_left: float | None = None
    warning: Warned | None = None
    rewind_to: int | None = None
    outlook: str = ""
    lease: Lease | None = None
    lease_seconds: float | None = None


class BlockMessage(Message):
    """Announces a block's frames and the actions that made it, with what blocks have taken recently, in ms.

    With `splice` it is a node that was sent before, regenerated with newer input: different from that video
    frame on, which is a key frame and the first one sent. `input_seq` is the latest input that it obeys.
    `early_ms`: by how much it was made before it had to be, on purpose: no reason to play faster. `warning`
    and `rewind_to` as in `Status`: they speak of the picture before this block.
    """

    type: Literal["block"] = "block"
    node: int
    parent: int
    block: int
    first_frame: int
    frames: int
    splice: int | None = None
    input_seq: int = 0
    held: tuple[str, ...] = ()
    camera: tuple[float, float] | None = None
    made_ms: float = 0.0
    early_ms: float = 0.0
    timings: dict[str, float] = {}
    warning: Warned | None = None
    rewind_to: int | None = None


class Rewound(Message):
    """The session stands at the end of a node (block -1: the start), after `frames` video frames, paused.

    What was sent before is stale. One JPEG packet follows: the picture there.
    """

    type: Literal["rewound"] = "rewound"
    node: int
    block: int
    frames: int


class End(Message):
    """The session is over and its files are written; nothing follows. recording: whether there is one."""

    type: Literal["end"] = "end"
    phase: Outcome
    text: str
    recording: bool = False


ServerMessage = Annotated[Welcome | Status | BlockMessage | Rewound | End, Field(discriminator="type")]


_client = TypeAdapter(ClientMessage)


def parse(text: str | None) -> ClientMessage:
    """Read a client's message (None stands for a binary one). Raises BadMessage."""
    if text is None or len(text) > MAX_TEXT:
        raise BadMessage(f"messages are JSON text of at most {MAX_TEXT} characters")
    try:
        return _client.validate_json(text, strict=True)
    except ValidationError as error:
        raise BadMessage(sentence(error)) from None


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong, and where."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) if first["type"] not in ("version", "codecs") else ""
    return f"{where}: {first['msg']}" if where else first["msg"]


def video_packet(codec: str, key: bool, frame: int, block: int, node: int, payload: bytes) -> bytes:
    """A video frame as a binary message: u8 codec, u8 key, u16 0, u32 frame, u32 block, u32 node; payload."""
    return PACKET_HEADER.pack(CODECS[codec], key, 0, frame, max(0, block), node) + payload
