"""True clips of each mode: what a perfect world shows under a track, small and drawn once."""

from functools import cache

import numpy as np

from benchmarks import runs
from mgdemo.actions import ActionTrack

SIZE = (72, 128)
PARTS = {
    "universal": [("forward", 18), ("back", 18), ("look_left", 18), ("look_right", 18), ("", 9)],
    "gta_drive": [
        ("accelerate", 24), ("accelerate+steer_left", 18), ("accelerate+steer_right", 18), ("", 15),
        ("brake", 18),
    ],
    "templerun": [("", 12), ("left", 12), ("", 6), ("right", 12), ("jump", 12), ("turn_left", 12), ("", 6)],
}  # fmt: skip
OPPOSITE = {
    "forward": "back", "back": "forward", "look_left": "look_right", "look_right": "look_left",
    "accelerate": "brake", "brake": "accelerate", "steer_left": "steer_right", "steer_right": "steer_left",
    "left": "right", "right": "left", "turn_left": "turn_right", "jump": "slide",
}  # fmt: skip


def track_of(mode: str, parts: list[tuple[str, int]]) -> ActionTrack:
    held = [ActionTrack.hold(mode, names.split("+") if names else (), frames=n) for names, n in parts]
    return ActionTrack.concat(held)


class Clips:
    """Of one mode: the track, the start image, and clips [T, H, W, 3] by name."""

    def __init__(self, mode: str):
        self.mode, self.track = mode, track_of(mode, PARTS[mode])
        self._starts = runs.Starts.draw(mode, 4, seed=5)
        self.true = self.draw(self.track)
        self.start = self.true[0]

    def draw(self, track: ActionTrack, index: int = 0) -> np.ndarray:
        poses = self._starts.poses_along(index, [track])
        return runs.draw(self._starts.world.take(slice(index, index + 1)), poses, SIZE)[0]

    @cache  # noqa: B019 (one object a mode, for the whole session)
    def mirrored(self) -> np.ndarray:
        """What is shown when every control does the opposite of its name."""
        parts = [
            ("+".join(OPPOSITE[name] for name in names.split("+")) if names else "", n)
            for names, n in PARTS[self.mode]
        ]
        return self.draw(track_of(self.mode, parts))

    @cache  # noqa: B019
    def another(self) -> np.ndarray:
        """Another run: the same actions elsewhere, half a second late."""
        frames = self.draw(self.track, 1)
        return np.concatenate([frames[-12:], frames[:-12]])
