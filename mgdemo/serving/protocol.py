"""What browser and server say to each other over the live WebSocket, version 2.

Text messages are JSON objects with a "type", the names and fields of the classes below. Video frames are
binary: `frame_packet`. The client speaks first (`Hello`); the server answers `Welcome` once the size of the
picture is known, `StatusMessage` at every change and once a second, for each block a `BlockMessage` and then
its frames, after going back a `Rewound` and then its still, and at last `End`.

A play is a tree of nodes: each is a made block below its parent; node 0 is the start, before the first block.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from mgdemo.errors import UserError

VERSION = 2
CODECS = {"h264": 1, "jpeg": 2}  # and their number in a frame's header

BAD_MESSAGE, UNKNOWN_PLAY, LOST_LINE, REPLACED = 4400, 4404, 4408, 4409  # WebSocket close codes

MAX_TEXT = 4096  # characters of a client's message
MAX_HELD = 32
_HEADER = struct.Struct("<BBHIII")


class BadMessage(UserError):
    """A message that is not of this protocol; says what is wrong with it."""


@dataclass(frozen=True)
class Hello:
    """First message: the codecs that the client can show, best first."""

    codecs: tuple[str, ...]


@dataclass(frozen=True)
class Input:
    """All that is held from now on, in the order of pressing, and the analogue camera (pitch, yaw).

    `seq` counts a page's inputs; it comes back in the first block that obeys this one.
    """

    held: tuple[str, ...]
    camera: tuple[float, float] = (0.0, 0.0)
    seq: int = 0


@dataclass(frozen=True)
class Ack:
    """Block `block` has arrived whole; `buffer_ms` of video are not yet shown. After a pause, said again."""

    block: int
    buffer_ms: float


@dataclass(frozen=True)
class KeyFrame:
    """The decoder has lost its way and needs a key frame."""


@dataclass(frozen=True)
class Pause:
    """Live play makes no further blocks, or goes on."""

    on: bool


@dataclass(frozen=True)
class Step:
    """While paused: one block more."""


@dataclass(frozen=True)
class Rewind:
    """Go to the end of a node, and be paused there."""

    node: int


@dataclass(frozen=True)
class Stop:
    """The visitor ends the play."""


ClientMessage = Hello | Input | Ack | KeyFrame | Pause | Step | Rewind | Stop


class _ServerMessage:
    type: ClassVar[str]

    def json(self) -> str:
        """The message as it is sent."""
        return json.dumps({"type": self.type, **asdict(self)}, ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True)
class Welcome(_ServerMessage):
    """What will be shown and how. `frames` is the length of a scenario and None in live play.

    `nodes` are all nodes made so far, as (node, parent, block); the play stands at `head`.
    """

    type = "welcome"
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
    version: int = VERSION


@dataclass(frozen=True)
class StatusMessage(_ServerMessage):
    """How it stands; the fields are those of `sessions.Status`."""

    type = "status"
    state: str
    text: str
    place: int | None
    progress: float | None
    frames: int
    fps: float | None
    seconds_left: float | None


@dataclass(frozen=True)
class BlockMessage(_ServerMessage):
    """Announces a block's frames: the actions that made it, and what blocks have taken of late, in ms.

    With `splice` it is a node that was sent before, made again with newer input: other from that video frame
    on, a key frame, with which its frames begin. `seq` is the latest input that it obeys.
    """

    type = "block"
    node: int
    parent: int
    block: int
    first_frame: int
    frames: int
    splice: int | None
    seq: int
    held: tuple[str, ...]
    camera: tuple[float, float] | None
    made_ms: float
    timings: dict[str, float]


@dataclass(frozen=True)
class Rewound(_ServerMessage):
    """The play stands at the end of a node (block -1: the start), after `frames` video frames, paused.

    What came before is stale. A still follows: one JPEG packet.
    """

    type = "rewound"
    node: int
    block: int
    frames: int


@dataclass(frozen=True)
class End(_ServerMessage):
    """Nothing more comes; `state` is "ended" or "error"."""

    type = "end"
    state: str
    text: str


def frame_packet(codec: str, key: bool, frame: int, block: int, node: int, payload: bytes) -> bytes:
    """A video frame as a binary message: u8 codec, u8 key, u16 0, u32 frame, u32 block, u32 node; payload."""
    return _HEADER.pack(CODECS[codec], key, 0, frame, max(0, block), node) + payload


def parse(text: str | None) -> ClientMessage:
    """Read a client's message (None stands for a binary one). Raises BadMessage."""
    if text is None or len(text) > MAX_TEXT:
        raise BadMessage(f"messages are JSON text of at most {MAX_TEXT} characters")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessage("messages are JSON text") from None
    match fields:
        case {"type": "hello", "version": int(version), "codecs": list(names)}:
            if version != VERSION:
                raise BadMessage(f"this page speaks version {version}, the server {VERSION}; reload the page")
            codecs = tuple(name for name in names if isinstance(name, str) and name in CODECS)
            if not codecs:
                raise BadMessage(f"the codecs are {' and '.join(CODECS)}")
            return Hello(codecs)
        case {"type": "input", "held": list(held)}:
            if len(held) > MAX_HELD or not all(isinstance(key, str) for key in held):
                raise BadMessage(f"held is a list of at most {MAX_HELD} key codes")
            pitch, yaw = _numbers(fields.get("camera") or [0, 0], 2, "camera is [pitch, yaw] in -1 to 1")
            (seq,) = _numbers([fields.get("seq", 0)], 1, "seq is a number")
            return Input(tuple(held), (max(-1.0, min(1.0, pitch)), max(-1.0, min(1.0, yaw))), int(seq))
        case {"type": "ack", "block": block, "buffer_ms": buffer_ms}:
            values = _numbers([block, buffer_ms], 2, "block and buffer_ms are numbers")
            return Ack(int(values[0]), max(0.0, min(60_000.0, values[1])))
        case {"type": "keyframe"}:
            return KeyFrame()
        case {"type": "pause", "on": bool(on)}:
            return Pause(on)
        case {"type": "step"}:
            return Step()
        case {"type": "rewind", "node": node}:
            return Rewind(int(_numbers([node], 1, "node is a number")[0]))
        case {"type": "stop"}:
            return Stop()
    raise BadMessage("not a message of this protocol, or one without its fields")


def _numbers(values: Any, count: int, rule: str) -> list[float]:
    if not isinstance(values, list) or len(values) != count:
        raise BadMessage(rule)
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise BadMessage(rule)
    return [float(max(-1e9, min(1e9, value))) for value in values]
