"""What a visitor holds, and the actions that follow from it."""

from __future__ import annotations

import numpy as np

from mgdemo.actions import CAMERA_STEP, MODES, ActionTrack

SLIGHT = CAMERA_STEP / 5  # a camera movement too small to regenerate a block for


class Input:
    """The keys and the camera of one visitor, between the blocks that they make.

    A key counts as long as it is held, and for one block if it was only tapped.
    """

    def __init__(self):
        self.input_seq = 0  # number of the latest input
        self._held: tuple[str, ...] = ()
        self._camera = (0.0, 0.0)
        self._pressed: dict[str, None] = {}  # since the last sample; ordered
        self._glance: tuple[float, float] | None = None  # the last camera movement since the last sample
        self._tapped: tuple[str, ...] = ()  # in the last sample, though released before it
        self._fresh: tuple[int, tuple[str, ...]] = (
            0,
            (),
        )  # frames of the last sample, and keys pressed in it

    def set(self, held: tuple[str, ...], camera: tuple[float, float], input_seq: int) -> None:
        for key in held:
            if key not in self._held:
                self._pressed.pop(key, None)
                self._pressed[key] = None  # now the latest
        self._held, self._camera, self.input_seq = held, camera, input_seq
        if any(camera):
            self._glance = camera

    def release(self) -> None:
        self.set((), (0.0, 0.0), self.input_seq)
        self._pressed, self._glance, self._tapped, self._fresh = {}, None, (), (0, ())

    def idle(self, mode: str) -> bool:
        """Whether the next sample would be without any action."""
        return idle(self._actions(mode, 1, ()))

    def sample(self, mode: str, frames: int) -> ActionTrack:
        """The actions of the next block's frames."""
        self._tapped, self._fresh = (), (0, ())
        return self.resample(mode, frames)

    def differs(self, made: ActionTrack) -> bool:
        """Whether `resample` would give something else than `made`, the block that was sampled last."""
        if MODES[made.mode].one_hot and not self._pressed:
            return False  # a single action lasts to the block's end
        wanted, last = self._actions(made.mode, 1, self._tapped), made.frames(len(made) - 1, len(made))
        moved = 0.0
        if wanted.mouse is not None and last.mouse is not None:
            moved = float(np.abs(wanted.mouse - last.mouse).max())
        return not np.array_equal(wanted.keyboard, last.keyboard) or moved > SLIGHT

    def resample(self, mode: str, frames: int) -> ActionTrack:
        """The actions of the last frames of the block sampled last; what was tapped in it still counts."""
        if frames == self._fresh[0]:  # not one frame of what was pressed then would be left
            self._tapped += tuple(key for key in self._fresh[1] if key not in self._held)
        actions = self._actions(mode, frames, self._tapped)
        self._tapped += tuple(key for key in self._pressed if key not in self._held)
        self._fresh = frames, (*self._pressed, *(self._fresh[1] if frames == self._fresh[0] else ()))
        self._pressed, self._glance = {}, None
        return actions

    def _actions(self, mode: str, frames: int, tapped: tuple[str, ...]) -> ActionTrack:
        earlier = [key for key in (*tapped, *self._held) if key not in self._pressed]
        camera = self._camera if any(self._camera) else self._glance
        return ActionTrack.hold(mode, [*earlier, *self._pressed], camera, frames)


def idle(actions: ActionTrack) -> bool:
    """Whether nothing is done in any of the frames."""
    return actions == ActionTrack.hold(actions.mode, (), None, len(actions))
