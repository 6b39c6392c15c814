"""How the picture moves when a mode's camera does, and the other way round: motion read from two pictures.

Motion is given in a mode's `AXES`, in units of the embedded worlds' own speed: walking forward reads ahead 1.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from mgdemo.actions import CAMERA_STEP
from mgdemo.measure.pixels import gray, optical_flow
from mgdemo.measure.speeds import (
    ARC,
    BOB,
    DUCK,
    EYE,
    HALF_VIEW,
    LEVER,
    PITCH,
    REACT,
    RUN_SPEED,
    SPEED,
    STEP,
    TOP_SPEED,
    TURN,
)

HELD_TURN = CAMERA_STEP * TURN  # of a held camera control, a frame

# What one frame of the world's own motion is made of, axis by axis: (right, ahead, turn, tilt, rise) in units
# of the world and radians.
AXES: dict[str, dict[str, tuple[float, float, float, float, float]]] = {
    "universal": {
        "right": (SPEED, 0, 0, 0, 0),
        "ahead": (0, SPEED, 0, 0, 0),
        "turn": (0, 0, HELD_TURN, 0, 0),
        "tilt": (0, 0, 0, HELD_TURN, 0),
    },
    "gta_drive": {  # the camera swings behind the car
        "ahead": (0, TOP_SPEED, 0, 0, 0),
        "turn": (-LEVER * HELD_TURN, 0, HELD_TURN, 0, 0),
    },
    # What is higher looks further down, but not when one bobs in running: read as anything else, that would
    # seem to slow one down.
    "templerun": {
        "right": (STEP / REACT, 0, 0, 0, 0),
        "ahead": (0, RUN_SPEED, 0, 0, 0),
        "turn": (0, 0, math.pi / 2 / ARC, 0, 0),
        "rise": (0, 0, 0, -0.1 * DUCK / REACT, DUCK / REACT),
        "bob": (0, 0, 0, 0, BOB * 4 * math.pi / ARC),
    },
}


class Geometry:
    """How the picture of a mode's camera moves, at every second pixel each way.

    Dense optical flow (OpenCV's DIS) is explained as a small motion of the camera over a plane, by
    iteratively re-weighted least squares (Cauchy weights, so that what stands on the plane counts as an
    outlier). Along a line nothing can be seen to move: only the flow across edges counts, weighted by how
    much texture there is. Turning moves sky and ground alike, walking only the ground, more the nearer it
    is: that distinguishes stepping aside from looking.
    """

    def __init__(self, mode: str, size: tuple[int, int]):
        """size: height and width of the pictures."""
        height, width = size
        focal = width / 2 / HALF_VIEW
        y, x = np.mgrid[0:height:2, 0:width:2].reshape(2, -1) + 0.5
        x, y = x - width / 2, y - height / 2
        low = y - focal * np.tan(PITCH[mode])  # below the horizon
        near = np.maximum(low, 0) / (focal * EYE[mode])  # one over the distance of the plane
        none = np.zeros_like(x)
        across = np.stack([-focal * near, x * near, -(focal + x * x / focal), none, none])
        down = np.stack([none, low * near, -x * low / focal, none + focal, focal * near])
        axes = np.array(list(AXES[mode].values())).T
        self.basis = np.stack([across.T @ axes, down.T @ axes])  # [2, pixels, axes]
        # A bob is small: what could as well be read in another way is no bob.
        self.doubt = np.array([0.1 * (axis == "bob") for axis in AXES[mode]])
        self.seen = np.ones(len(x))
        if mode == "gta_drive":  # not the car itself
            self.seen[(np.abs(x) < 0.55 * height / 2) & (y > 0.18 * height / 2)] = 0

    def read(self, before: np.ndarray, after: np.ndarray, frames: int) -> np.ndarray:
        """Motion between two pictures (uint8 [H, W, 3]) some frames apart, axis by axis."""
        pair = [gray(picture) for picture in (before, after)]
        flow = optical_flow(*pair)[::2, ::2].reshape(-1, 2)
        smooth = cv2.GaussianBlur(pair[0].astype(np.float32), (0, 0), 1.0)
        slope = np.stack([cv2.Sobel(smooth, -1, *way)[::2, ::2].ravel() for way in ((1, 0), (0, 1))], 1)
        texture = np.linalg.norm(slope, axis=1)
        weight = texture / (texture + 20) * self.seen
        slope /= texture[:, None] + 1e-6
        basis = frames * np.einsum("pd,dpa->pa", slope, self.basis)
        target = (slope * flow).sum(1)
        trust, solution = weight, np.zeros(basis.shape[1])
        for _ in range(12):
            scaled = basis * trust[:, None]
            ridge = np.diag(1e-3 + self.doubt * trust.sum())
            solution = np.linalg.solve(scaled.T @ basis + ridge, scaled.T @ target)
            miss = np.abs(basis @ solution - target)
            trust = weight / (1 + (miss / max(0.3, 1.5 * np.median(miss))) ** 2)
        return solution
