"""The vocabulary of control: modes and their controls, and the timeline of action values.

The action of a video frame is a keyboard vector [K] and, in modes with a camera, a mouse vector
[2] = (pitch, yaw), both float32 in the units of the published checkpoints. A held camera control moves by
`CAMERA_STEP` a frame; up and right are positive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from mgdemo.blocks import block_of_frame, frames_in_blocks

CAMERA_STEP = 0.1


@dataclass(frozen=True)
class Control:
    """Something that a visitor can hold, such as a key.

    `code` and `aliases` are W3C `KeyboardEvent.code`s. `group`, `row` and `column` are its place on the
    on-screen pads (one pad a group). It sets keyboard entry `keyboard`, or adds `mouse` (pitch, yaw).
    """

    name: str
    code: str
    aliases: tuple[str, ...]
    label: str
    hint: str
    group: str
    row: int
    column: int
    keyboard: int | None = None
    mouse: tuple[float, float] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """All that it is called."""
        return (self.name, self.label, self.code, *self.aliases)

    def spelled(self, key: str) -> str:
        """One of its `keys` in upper or lower case, as we write it."""
        return next(each for each in self.keys if each.casefold() == key.casefold())


@dataclass(frozen=True)
class Mode:
    """What can be done in one kind of world.

    `axes` are the camera axes that accept analog values ("pitch", "yaw"); empty without a camera.
    In a `one_hot` mode exactly one keyboard entry is 1, and entry 0 means that nothing is held.
    `stands`: the picture stands still as long as nothing is held.
    """

    name: str
    title: str
    controls: tuple[Control, ...]
    keyboard_dim: int
    axes: tuple[str, ...] = ()
    one_hot: bool = False
    stands: bool = False

    @property
    def has_mouse(self) -> bool:
        return bool(self.axes)

    @cached_property
    def _index(self) -> dict[str, Control]:
        return {key.casefold(): control for control in self.controls for key in control.keys}

    def control(self, key: str) -> Control | None:
        """The control with this name, label or key code (upper or lower case), if there is one."""
        return self._index.get(key.casefold())

    def frame(
        self, held: Iterable[str], camera: Sequence[float] | np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The action of one video frame: keyboard [K] and mouse [2] or None.

        held: names, labels or codes in the order of pressing; others are ignored. Opposite camera controls
            cancel; in a one-hot mode the latest one counts.
        camera: analog (pitch, yaw) in [-1, 1], added to the held camera controls and clipped; axes that the
            mode does not have are ignored.
        """
        controls = list(dict.fromkeys(c for key in held if (c := self.control(key))))
        keyboard = np.zeros(self.keyboard_dim, np.float32)
        if self.one_hot:
            keyboard[controls[-1].keyboard if controls else 0] = 1
        else:
            keyboard[[c.keyboard for c in controls if c.keyboard is not None]] = 1
        if not self.has_mouse:
            return keyboard, None
        mouse = np.zeros(2, np.float32)
        for control in controls:
            if control.mouse:
                mouse += np.asarray(control.mouse, np.float32)
        if camera is not None:
            mouse += np.where(
                [axis in self.axes for axis in ("pitch", "yaw")], np.asarray(camera, np.float32), 0
            )
        return keyboard, np.clip(mouse, -1, 1)

    def held(self, keyboard: np.ndarray, mouse: np.ndarray | None = None) -> tuple[str, ...]:
        """Names of the controls to show as held for one frame's action: the inverse of `frame`.

        A camera control counts as held when the camera moves its way at all.
        """
        return tuple(
            control.name
            for control in self.controls
            if (control.keyboard is not None and keyboard[control.keyboard] > 0)
            or (control.mouse and mouse is not None and np.dot(control.mouse, mouse) > 0)
        )


def _pad(group: str, *keys: tuple) -> tuple[Control, ...]:
    """Controls from (place, name, letter, other keys, hint, effect); places as on a keyboard."""
    places = {"Z": (0, 0), "W": (0, 1), "C": (0, 2), "A": (1, 0), "S": (1, 1), "D": (1, 2)}
    return tuple(
        Control(
            name,
            f"Key{letter}",
            tuple(others.split()),
            letter,
            hint,
            group,
            *places[place],
            keyboard=effect if isinstance(effect, int) else None,
            mouse=None if isinstance(effect, int) else effect,
        )
        for place, name, letter, others, hint, effect in keys
    )


_UP, _DOWN, _LEFT, _RIGHT = (CAMERA_STEP, 0.0), (-CAMERA_STEP, 0.0), (0.0, -CAMERA_STEP), (0.0, CAMERA_STEP)

MODES: dict[str, Mode] = {
    mode.name: mode
    for mode in (
        Mode(
            "universal",
            "Universal",
            _pad(
                "move",
                ("W", "forward", "W", "", "Forward", 0),
                ("S", "back", "S", "", "Back", 1),
                ("A", "left", "A", "", "Left", 2),
                ("D", "right", "D", "", "Right", 3),
            )
            + _pad(
                "camera",
                ("W", "look_up", "I", "ArrowUp", "Look up", _UP),
                ("S", "look_down", "K", "ArrowDown", "Look down", _DOWN),
                ("A", "look_left", "J", "ArrowLeft", "Look left", _LEFT),
                ("D", "look_right", "L", "ArrowRight", "Look right", _RIGHT),
            ),
            keyboard_dim=4,
            axes=("pitch", "yaw"),
            stands=True,
        ),
        Mode(
            "gta_drive",
            "GTA drive",
            _pad(
                "drive",
                ("W", "accelerate", "W", "ArrowUp", "Accelerate", 0),
                ("S", "brake", "S", "ArrowDown", "Brake or reverse", 1),
                ("A", "steer_left", "A", "ArrowLeft", "Steer left", _LEFT),
                ("D", "steer_right", "D", "ArrowRight", "Steer right", _RIGHT),
            ),
            keyboard_dim=2,
            axes=("yaw",),
            stands=True,
        ),
        Mode(
            "templerun",
            "Temple Run",
            _pad(
                "run",
                ("W", "jump", "W", "ArrowUp Space", "Jump", 1),
                ("S", "slide", "S", "ArrowDown", "Slide", 2),
                ("Z", "turn_left", "Z", "", "Turn left", 3),
                ("C", "turn_right", "C", "", "Turn right", 4),
                ("A", "left", "A", "ArrowLeft", "Step left", 5),
                ("D", "right", "D", "ArrowRight", "Step right", 6),
            ),
            keyboard_dim=7,
            one_hot=True,
        ),
    )
}


def same_values(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether two arrays are equal; None equals only None."""
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)


@dataclass(frozen=True, eq=False)
class ActionTrack:
    """A timeline of actions: one row a video frame, row 0 belonging to the start frame.

    keyboard [T, K] and mouse [T, 2] (None in modes without a camera) are float32 and read-only; `len` is T.
    Raises ValueError when they do not fit the mode or are not finite.
    """

    mode: str
    keyboard: np.ndarray
    mouse: np.ndarray | None = None

    def __post_init__(self):
        mode = MODES[self.mode]
        widths = {"keyboard": mode.keyboard_dim} | ({"mouse": 2} if mode.has_mouse else {})
        if (self.mouse is None) == mode.has_mouse:
            raise ValueError(f"Mode {self.mode} {'needs' if mode.has_mouse else 'has no'} mouse values.")
        for field, width in widths.items():
            values = np.asarray(getattr(self, field), np.float32).view()
            if values.shape != (len(self.keyboard), width) or not np.isfinite(values).all():
                raise ValueError(
                    f"The {field} values of a {self.mode} track must be finite numbers of shape "
                    f"[{len(self.keyboard)}, {width}], not {list(values.shape)}."
                )
            values.flags.writeable = False
            object.__setattr__(self, field, values)

    def __len__(self) -> int:
        return len(self.keyboard)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, ActionTrack)
            and self.mode == other.mode
            and np.array_equal(self.keyboard, other.keyboard)
            and same_values(self.mouse, other.mouse)
        )

    @property
    def blocks(self) -> int:
        """Number of blocks that the track reaches into."""
        return block_of_frame(len(self) - 1) + 1 if len(self) else 0

    def frames(self, start: int, stop: int) -> ActionTrack:
        """Rows [start, stop), as far as there are any."""
        mouse = None if self.mouse is None else self.mouse[start:stop]
        return ActionTrack(self.mode, self.keyboard[start:stop], mouse)

    def block(self, index: int) -> ActionTrack:
        """The rows of one block: 9 for block 0, else 12; fewer at the end of a track that is not `padded`."""
        return self.frames(frames_in_blocks(index), frames_in_blocks(index + 1))

    def runs(self) -> list[tuple[int, int]]:
        """The stretches [start, stop) of unchanging action, in order."""
        rows = self.keyboard if self.mouse is None else np.hstack([self.keyboard, self.mouse])
        starts = [0, *(np.flatnonzero((rows[1:] != rows[:-1]).any(axis=1)) + 1), len(self)]
        return [(int(a), int(b)) for a, b in pairwise(starts) if a < b]

    def padded(self) -> ActionTrack:
        """The track extended by idle frames to a whole number of blocks."""
        missing = frames_in_blocks(self.blocks) - len(self)
        return ActionTrack.concat([self, ActionTrack.hold(self.mode, (), None, missing)])

    @staticmethod
    def hold(
        mode: str, held: Iterable[str], camera: Sequence[float] | None = None, frames: int = 1
    ) -> ActionTrack:
        """The same action for a number of video frames; see `Mode.frame`."""
        return ActionTrack.still(mode, *MODES[mode].frame(held, camera), frames)

    @staticmethod
    def still(mode: str, keyboard: np.ndarray, mouse: np.ndarray | None, frames: int) -> ActionTrack:
        """The action of one frame for a number of them."""
        mice = None if mouse is None else np.tile(mouse, (frames, 1))
        return ActionTrack(mode, np.tile(keyboard, (frames, 1)), mice)

    @staticmethod
    def concat(tracks: Sequence[ActionTrack]) -> ActionTrack:
        """One track after the other; at least one, all of one mode."""
        mode = tracks[0].mode
        if any(track.mode != mode for track in tracks):
            raise ValueError(f"Only tracks of one mode can be joined; the first is {mode}.")
        keyboard = np.concatenate([track.keyboard for track in tracks])
        mice = [track.mouse for track in tracks if track.mouse is not None]
        return ActionTrack(mode, keyboard, np.concatenate(mice) if mice else None)
