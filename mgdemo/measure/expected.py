"""What the held controls should cause: the camera's motion from each video frame to the next.

A small model of each mode's camera, without the place around it: walls and things in the way are not known
here. Its speeds are the embedded worlds' own; of other checkpoints the directions hold, not the sizes.
"""

from __future__ import annotations

import math

import numpy as np

from mgdemo.actions import CAMERA_STEP, ActionTrack
from mgdemo.measure.camera import AXES, HELD_TURN
from mgdemo.measure.speeds import (
    ARC,
    CREEP,
    DUCK,
    EYE,
    JUMP,
    LEVER,
    PITCH_LIMIT,
    REACT,
    REVERSE,
    SPEED,
    STEP,
    TO_LOCK,
    TO_TOP,
    TOP_SPEED,
)

FAST_RISE = 1.2  # of the speed at which one ducks


def expected_motion(track: ActionTrack) -> np.ndarray:
    """Motion [T - 1, axes] in the mode's `AXES`, from frame to frame; NaN where nothing is expected."""
    rows = _MODELS[track.mode](track)
    return np.array(rows[: max(0, len(track) - 1)], np.float64).reshape(-1, len(AXES[track.mode]))


def poses(track: ActionTrack) -> np.ndarray | None:
    """Camera poses [T, 4] (right, ahead, yaw, pitch; units and radians) by dead reckoning from the start.

    None in a mode whose camera never comes back.
    """
    if track.mode == "templerun":
        return None
    at, names = np.zeros(4), list(AXES[track.mode])
    found = [at.copy()]
    for row in expected_motion(track):
        motion = dict(zip(names, row, strict=True))
        turned = motion["turn"] * HELD_TURN
        middle = at[2] + turned / 2
        if track.mode == "gta_drive":
            right, ahead = 0.0, motion["ahead"] * TOP_SPEED
            at[0] += LEVER * (math.sin(at[2]) - math.sin(at[2] + turned))
            at[1] += LEVER * (math.cos(at[2]) - math.cos(at[2] + turned))
        else:
            right, ahead, middle = motion["right"] * SPEED, motion["ahead"] * SPEED, at[2]
            at[3] += motion["tilt"] * HELD_TURN
        at[0] += ahead * math.sin(middle) + right * math.cos(middle)
        at[1] += ahead * math.cos(middle) - right * math.sin(middle)
        at[2] += turned
        found.append(at.copy())
    return np.array(found)


def _walk(track: ActionTrack) -> list[tuple]:
    assert track.mouse is not None
    pitch, rows = 0.0, []
    for keys, mouse in zip(track.keyboard, track.mouse, strict=True):
        ahead, side = keys[0] - keys[1], keys[3] - keys[2]
        scale = 1 / max(1.0, math.hypot(ahead, side))
        before = pitch
        pitch = min(PITCH_LIMIT, max(-PITCH_LIMIT, pitch + mouse[0] / CAMERA_STEP * HELD_TURN))
        rows.append((side * scale, ahead * scale, mouse[1] / CAMERA_STEP, (pitch - before) / HELD_TURN))
    return rows


def _drive(track: ActionTrack) -> list[tuple]:
    assert track.mouse is not None
    speed = steer = 0.0
    rows = []
    for (gas, brake), mouse in zip(track.keyboard, track.mouse, strict=True):
        lock = min(3.0, max(-3.0, mouse[1] / CAMERA_STEP))
        creep = CREEP * min(1.0, abs(lock)) if gas + brake == 0 else 0.0
        target = 0.0 if gas * brake > 0 else gas - REVERSE * brake + creep
        speed += min(1 / TO_TOP, max(-1 / TO_TOP, target - speed))
        steer += min(1 / TO_LOCK, max(-1 / TO_LOCK, lock - steer))
        rows.append((speed, steer * min(1.0, max(-1.0, speed / REVERSE))))
    return rows


def _run(track: ActionTrack) -> list[tuple]:
    jump = turn = way = 0
    side = low = 0.0
    rows = []
    for keys in track.keyboard:
        _, up, down, turn_left, turn_right, left, right = keys
        before = low, _air(jump), side
        free = jump == turn == 0
        if free and up > 0:
            jump = ARC
        elif free and turn_left + turn_right > 0:
            turn, way = ARC, int(turn_right - turn_left)
        still = jump == turn == 0
        turning = turn > 0
        side += min(STEP / REACT, max(-STEP / REACT, (right - left) * STEP * still - side))
        low += min(1 / REACT, max(-1 / REACT, down * still - low))
        jump, turn = max(0, jump - 1), max(0, turn - 1)
        rise = (JUMP * (_air(jump) - before[1]) - DUCK * (low - before[0])) / (DUCK / REACT)
        # The higher the eye, the slower the ground seems to go by. It does not show how fast one runs in a
        # corner, where it turns, too, nor in a fast rise, which flow cannot tell from running. (Ducked, it
        # seems faster; so much is not asked for.)
        height = EYE["templerun"] + JUMP * (_air(jump) + before[1]) / 2
        ahead = math.nan if turning or abs(rise) > FAST_RISE else EYE["templerun"] / height
        rows.append(((side - before[2]) / (STEP / REACT), ahead, way * turning, rise, math.nan))
    return rows


def _air(jump: int) -> float:
    """The height of a jump with so many frames left, 0 to 1."""
    return jump * (ARC - jump) * 4 / ARC**2


_MODELS = {"universal": _walk, "gta_drive": _drive, "templerun": _run}
