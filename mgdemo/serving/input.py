"""What a visitor holds, and the actions that it comes to."""

from __future__ import annotations

import numpy as np

from mgdemo.actions import CAMERA_STEP, MODES, ActionTrack

SLIGHT = CAMERA_STEP / 5  # an analogue camera movement that is not worth a block made again


class Input:
    """The keys and the camera of one visitor, between the blocks that they make.

    Keys count as held while they are, and also in the one block that follows when they were only tapped.
    """

    def __init__(self):
        self.number = 0  # of the latest input
        self._held: tuple[str, ...] = ()
        self._camera = (0.0, 0.0)
        self._pressed: dict[str, None] = {}  # since the last sample; ordered
        self._glance: tuple[float, float] | None = None  # the last camera movement since the last sample
        self._tapped: tuple[str, ...] = ()  # in the last sample, though let go before it

    def set(self, held: tuple[str, ...], camera: tuple[float, float], number: int) -> None:
        for key in held:
            if key not in self._held:
                self._pressed.pop(key, None)
                self._pressed[key] = None  # now the latest
        self._held, self._camera, self.number = held, camera, number
        if any(camera):
            self._glance = camera

    def release(self) -> None:
        self.set((), (0.0, 0.0), self.number)
        self._pressed, self._glance, self._tapped = {}, None, ()

    def sample(self, mode: str, frames: int) -> ActionTrack:
        """The actions of the next block's frames."""
        self._tapped = ()
        return self.sample_again(mode, frames)

    def differs(self, made: ActionTrack) -> bool:
        """Whether `sample_again` would give something else than `made`, the block that was sampled last."""
        if MODES[made.mode].one_hot and not self._pressed:
            return False  # a single action goes on to the block's end
        wanted, last = self._actions(made.mode, 1), made.frames(len(made) - 1, len(made))
        moved = 0.0 if made.mouse is None else float(np.abs(wanted.mouse - last.mouse).max())
        return not np.array_equal(wanted.keyboard, last.keyboard) or moved > SLIGHT

    def sample_again(self, mode: str, frames: int) -> ActionTrack:
        """The actions of the last frames of the block sampled last; what was tapped in it goes on."""
        actions = self._actions(mode, frames)
        self._tapped += tuple(key for key in self._pressed if key not in self._held)
        self._pressed, self._glance = {}, None
        return actions

    def _actions(self, mode: str, frames: int) -> ActionTrack:
        earlier = [key for key in (*self._tapped, *self._held) if key not in self._pressed]
        camera = self._camera if any(self._camera) else self._glance
        return ActionTrack.hold(mode, [*earlier, *self._pressed], camera, frames)
