"""What everything around a model needs of it: the protocols that real worlds and stub worlds share.

`mgdemo.world` has the real ones. No torch here, so that the server can name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from PIL import Image

from mgdemo.actions import ActionTrack

Progress = Callable[[float, str], None]  # called with the share done, 0 to 1, and what is being done


class Snapshot(Protocol):
    """A world's state between two blocks, on the host; exact, and good for any number of restores."""

    @property
    def block(self) -> int:
        """The block that comes next, counted from 0."""
        ...


class World(Protocol):
    """One session: a pure function of image, seed and actions, computed block by block."""

    timings: dict[str, float]
    """Milliseconds of the last block's stages, by name; complete when all its frames were taken."""

    @property
    def block(self) -> int:
        """The next block, counted from 0."""
        ...

    @property
    def frames_next(self) -> int:
        """Video frames of the next block: 9 for block 0, then 12."""
        ...

    def step(self, actions: ActionTrack) -> np.ndarray:
        """Make the next block under `frames_next` rows of actions; frames [T, H, W, 3], uint8.

        Raises ValueError, and changes nothing, if the actions are too many, too few or of another mode.
        """
        ...

    def stream(self, actions: ActionTrack) -> Iterator[np.ndarray]:
        """As `step`, but in pieces [t, H, W, 3] along time, each as soon as it exists.

        The world has moved on when this returns. The frames can be taken at any time later, and are the
        same whatever else is asked of the world meanwhile.
        """
        ...

    @property
    def can_regenerate(self) -> bool:
        """Whether `regenerate` is possible now."""
        ...

    def regenerate(self, actions: ActionTrack) -> np.ndarray:
        """Make the last block again under other actions; takes and gives what `step` did.

        Raises ValueError, and changes nothing, for actions that don't fit or where `can_regenerate` is false.
        """
        ...

    @property
    def latents(self) -> bytes:
        """The last block's latents, for `repeat`; available once its frames were taken. Empty where `repeat`
        would save nothing."""
        ...

    def repeat(self, actions: ActionTrack, latents: bytes, shown: bool) -> np.ndarray | None:
        """Make the next block from the latents that this world, or another one of the same model, image and
        seed, has made for it before. The result is that of `step`, in a fraction of the time.

        Frames are decoded only if they are `shown`; they are exact once `reach` blocks in a row were shown.
        Until then a snapshot would hold an inexact decoder state. Raises ValueError as `step` does, and for
        latents of another size.
        """
        ...

    @property
    def reach(self) -> int:
        """How many blocks in a row must be shown, the last one included, until frames are exact."""
        ...

    @property
    def snapshot_bytes(self) -> int:
        """The memory that a snapshot would take now."""
        ...

    def snapshot(self) -> Snapshot:
        """The state between the last block and the next one."""
        ...

    def restore(self, snapshot: Snapshot) -> None:
        """Return to a snapshot of this world, or of another one of the same model and image."""
        ...


class Model(Protocol):
    """A checkpoint on a device, shared by all its worlds."""

    notice: str
    """What its visitors should know of how it runs there, with the cure; usually ""."""

    @property
    def name(self) -> str:
        """The checkpoint's name."""
        ...

    @property
    def mode(self) -> str:
        """A key of `mgdemo.actions.MODES`."""
        ...

    @property
    def fps(self) -> int:
        """Video frames a second at normal speed."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the picture."""
        ...

    @property
    def pipelined(self) -> bool:
        """Whether it makes a block while it decodes the one before, if it is asked early enough."""
        ...

    def start(self, image: Image.Image, seed: int = 0) -> World:
        """A world that begins at an RGB image of any size, cropped to the picture's aspect."""
        ...


class Loader(Protocol):
    """What loads a checkpoint, like `mgdemo.loading.load_world_model`."""

    def __call__(
        self, checkpoint: str, *, device: str, progress: Progress | None = None, optimization: str = ""
    ) -> Model:
        """Raises UserError with a cure."""
        ...
