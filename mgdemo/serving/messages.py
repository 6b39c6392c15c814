"""What the web process and a worker say to each other: plain picklable values, whatever carries them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from mgdemo.actions import ActionTrack


@dataclass(frozen=True)
class Warm:
    """Load a checkpoint before anybody asks for it."""

    checkpoint: str


@dataclass(frozen=True)
class Open:
    """Begin a play: live, or along a track of whole blocks."""

    session: str
    checkpoint: str
    image: Image.Image
    seed: int
    track: ActionTrack | None


@dataclass(frozen=True)
class Attach:
    """A visitor's player is there: go on with a key frame, and add JPEG pictures if it needs them."""

    session: str
    jpeg: bool


@dataclass(frozen=True)
class Detach:
    """The player is gone: live play waits, and what was held is released."""

    session: str


@dataclass(frozen=True)
class SetInput:
    session: str
    held: tuple[str, ...]
    camera: tuple[float, float]
    number: int  # of the visitor's inputs, growing


@dataclass(frozen=True)
class Acknowledge:
    session: str
    block: int
    buffer_ms: float


@dataclass(frozen=True)
class NeedKey:
    session: str


@dataclass(frozen=True)
class Pause:
    """Live play makes no blocks, or goes on."""

    session: str
    on: bool


@dataclass(frozen=True)
class Step:
    """One block of a play that is paused."""

    session: str


@dataclass(frozen=True)
class Rewind:
    """Go to the end of a node, and be paused there."""

    session: str
    node: int


@dataclass(frozen=True)
class Close:
    """Forget a play. What it has already sent may still arrive."""

    session: str


Command = Warm | Open | Attach | Detach | SetInput | Acknowledge | NeedKey | Pause | Step | Rewind | Close


@dataclass(frozen=True)
class Loading:
    """How far the loading of a checkpoint is (0 to 1), and what is being done, in words."""

    checkpoint: str
    progress: float
    text: str


@dataclass(frozen=True)
class Ready:
    """A play's world stands at its start."""

    session: str
    mode: str
    width: int
    height: int
    fps: int


@dataclass(frozen=True)
class Block:
    """A block's first frames are made; all follow. keyboard [frames, K], mouse [frames, 2] or None made it.

    It is node `node` of the play's tree, below `parent`. With `splice` it is that node made again, under
    other actions from video frame `splice` on: its frames take the place of those sent before; those from
    `splice` on come first, and a player needs no others. `input` is the number of the latest input that it
    obeys.
    late_ms is by how much its first frames missed the moment when the visitor's player ran dry (live play; 0
    when in time). made_ms is what a block has taken of late, with encoding, and timings are the stages of
    the one before, in ms, since this one's first frames leave while others are made; 0 and empty at first.
    """

    session: str
    node: int
    parent: int
    block: int
    first_frame: int
    frames: int
    splice: int | None
    keyboard: np.ndarray
    mouse: np.ndarray | None
    input: int
    made_ms: float
    late_ms: float
    timings: dict[str, float]


@dataclass(frozen=True)
class Thumbnail:
    """A small JPEG of a node's last frame."""

    session: str
    node: int
    picture: bytes


@dataclass(frozen=True)
class Frame:
    """One video frame: its H.264 packet, and its JPEG picture if the player needs it."""

    session: str
    node: int
    block: int
    frame: int
    h264: bytes
    jpeg: bytes | None


@dataclass(frozen=True)
class Standing:
    """The picture of a live session stands still: no blocks are made until a control is held, or one step."""

    session: str


@dataclass(frozen=True)
class Rewinding:
    """How far the way back is (0 to 1)."""

    session: str
    progress: float


@dataclass(frozen=True)
class Rewound:
    """The play stands at the end of a node, after `frames` video frames, paused. `picture`: a JPEG of it."""

    session: str
    node: int
    block: int
    frames: int
    picture: bytes


@dataclass(frozen=True)
class Finished:
    """The track is done; all its frames have been sent."""

    session: str


@dataclass(frozen=True)
class Failed:
    """The play cannot go on, and why, in a sentence with a cure."""

    session: str
    text: str


Event = Loading | Ready | Block | Frame | Thumbnail | Standing | Rewinding | Rewound | Finished | Failed
