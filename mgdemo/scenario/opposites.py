"""What undoes what: the actions of a way back."""

from __future__ import annotations

from collections.abc import Sequence

from mgdemo.actions import MODES

# A car goes back the way it came with its wheel where it was. A runner's jump cannot be undone.
_PAIRS = {
    "universal": (
        ("forward", "back"),
        ("left", "right"),
        ("look_up", "look_down"),
        ("look_left", "look_right"),
    ),
    "gta_drive": (
        ("accelerate", "brake"),
        ("steer_left", "steer_left"),
        ("steer_right", "steer_right"),
    ),
    "templerun": (("left", "right"), ("turn_left", "turn_right")),
}
OPPOSITES = {mode: dict(pairs) | {b: a for a, b in pairs} for mode, pairs in _PAIRS.items()}

# Where opposite actions lead back to where one was. A car has its inertia, and a runner runs on.
LEADS_BACK = {"universal"}


def opposite(
    mode: str, held: Sequence[str], camera: tuple[float, ...] | None
) -> tuple[tuple[str, ...], tuple[float, ...] | None]:
    """What to hold, and how to move the camera, to undo an action. Raises KeyError for a control without."""
    pairs = OPPOSITES[mode]
    kept = all(pairs[control.name] == control.name for control in MODES[mode].controls if control.mouse)
    back = camera and tuple(value if kept else 0.0 - value for value in camera)  # never -0.0
    return tuple(pairs[name] for name in held), back
