"""Where does a run diverge from another one that should show the same frames?"""

from __future__ import annotations

import numpy as np

from mgdemo.measure.pixels import gray, psnr, small, ssim

HEIGHT = 144
SAME = 30.0  # dB: less, and the runs show different pictures


class Splits:
    """Takes two runs' frames, pair by pair in order."""

    def __init__(self):
        self.frames: list[dict] = []

    def add(self, frame: np.ndarray, baseline: np.ndarray) -> None:
        """The next frames, uint8 [H, W, 3] each, of one size."""
        a, b = small(frame, HEIGHT), small(baseline, HEIGHT)
        self.frames.append({"psnr": psnr(frame, baseline), "ssim": ssim(gray(a), gray(b))})

    def result(self) -> dict:
        """`score`: the share of frames that are the baseline's (PSNR of 30 dB or more); `first`: the frame
        at which they part, None if they never do; `frames`: the curves.
        """
        same = [frame["psnr"] >= SAME for frame in self.frames]
        return {
            "score": float(np.mean(same)) if same else None,
            "first": same.index(False) if False in same else None,
            "psnr": float(np.mean([frame["psnr"] for frame in self.frames])) if same else None,
            "ssim": float(np.mean([frame["ssim"] for frame in self.frames])) if same else None,
            "frames": [{name: round(v, 3) for name, v in frame.items()} for frame in self.frames],
        }
