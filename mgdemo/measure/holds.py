"""How long does the picture stay a place? Sharpness, color and flicker against the start, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from mgdemo.blocks import FPS
from mgdemo.measure.pixels import color_distance, detail, gradient, gray, histogram, optical_flow, small
from mgdemo.measure.segments import segments

HEIGHT = 144
FLOW_HEIGHT = 72  # of the pictures that are warped
SHARP = (0.4, 2.5)  # gradient energy of the start's, within which a frame holds
DRIFT = 0.6  # color distance from the start
FLICKER = 14.0  # gray levels between a frame and the one before, warped by what moved
LOST = (0.2, 3.0)  # gradient energy beyond which a picture has collapsed
STAYS = FPS  # frames in a row that make a collapse


class Holds:
    """Takes a run's frames in order."""

    def __init__(self, start: np.ndarray, marks: Sequence[int] = ()):
        """start: the start image as the run's first frame should show it, uint8 [H, W, 3]. marks: frames that
        part segments."""
        self._marks = marks
        reference = small(start, HEIGHT)
        self._energy, self._detail = gradient(reference), detail(reference)
        self._colors = histogram(reference)
        self._before: np.ndarray | None = None
        self.frames: list[dict] = []

    def add(self, frame: np.ndarray) -> None:
        """The next frame, uint8 [H, W, 3]."""
        picture = small(frame, HEIGHT)
        self.frames.append(
            {
                "sharpness": gradient(picture) / max(self._energy, 1e-6),
                "detail": detail(picture) / max(self._detail, 1e-6),
                "drift": color_distance(histogram(picture), self._colors),
                "flicker": self._flicker(gray(small(picture, FLOW_HEIGHT))),
            }
        )

    def _flicker(self, picture: np.ndarray) -> float:
        """What the motion between two frames does not explain, in gray levels; 0 for the first frame."""
        before, self._before = self._before, picture
        if before is None:
            return 0.0
        flow = optical_flow(picture, before, fine=False)
        y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
        warped = cv2.remap(before, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
        inside = (
            (x + flow[..., 0] >= 0) & (x + flow[..., 0] <= picture.shape[1] - 1)
            & (y + flow[..., 1] >= 0) & (y + flow[..., 1] <= picture.shape[0] - 1)
        )  # fmt: skip
        if not inside.any():
            return 255.0
        return float(np.abs(warped.astype(np.float32) - picture)[inside].mean())

    def result(self) -> dict:
        """`score`: the share of frames that hold. Each must be about as sharp as the start, in colors like
        its own, and explained by the frame before it. `collapsed`: the frame from which on, for a second or
        to the end, nothing is left; None if that never happens. `segments`: the same score piece by piece,
        between marks or of 2 s; `frames`: the figures of each.
        """
        good = [self._good(frame) for frame in self.frames]
        return {
            "score": float(np.mean(good)) if good else None,
            "collapsed": self._collapsed(),
            "segments": [
                {"from": start, "to": end, "score": float(np.mean(good[start:end]))}
                for start, end in segments(len(good), self._marks)
            ],
            "sharpness": _median(self.frames, "sharpness"),
            "detail": _median(self.frames, "detail"),
            "drift": max((frame["drift"] for frame in self.frames), default=None),
            "flicker": _median(self.frames, "flicker"),
            "frames": [{name: round(v, 3) for name, v in frame.items()} for frame in self.frames],
        }

    @staticmethod
    def _good(frame: dict) -> bool:
        sharp = SHARP[0] <= frame["sharpness"] <= SHARP[1]
        return sharp and frame["drift"] <= DRIFT and frame["flicker"] <= FLICKER

    def _collapsed(self) -> int | None:
        gone = [not LOST[0] <= frame["sharpness"] <= LOST[1] for frame in self.frames]
        run = 0
        for i, lost in enumerate(gone):
            run = run + 1 if lost else 0
            if run == STAYS:
                return i + 1 - run
        return len(gone) - run if run and run == len(gone) else None


def _median(frames: list[dict], name: str) -> float | None:
    return float(np.median([frame[name] for frame in frames])) if frames else None
