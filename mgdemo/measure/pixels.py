"""Measures of single pictures, and of pairs. Pictures are uint8 [H, W, 3] unless said otherwise."""

from __future__ import annotations

import cv2
import numpy as np

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # of SSIM (Wang et al., 2004)


def gradient(frames: np.ndarray) -> float:
    """Gradient energy: the mean absolute difference of neighboring pixels of uint8 [..., H, W, 3]."""
    values = frames.astype(np.float32)
    return float(np.abs(np.diff(values, axis=-3)).mean() + np.abs(np.diff(values, axis=-2)).mean())


def detail(picture: np.ndarray) -> float:
    """Fine detail: the variance of the Laplacian of the gray picture."""
    return float(cv2.Laplacian(gray(picture), cv2.CV_32F).var())


def gray(picture: np.ndarray) -> np.ndarray:
    """uint8 [H, W]."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def small(picture: np.ndarray, height: int) -> np.ndarray:
    """The picture at no more than this height, in its aspect."""
    if picture.shape[0] <= height:
        return picture
    width = round(picture.shape[1] * height / picture.shape[0])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In dB; at most 68, for pictures that are the same."""
    error = np.square(a.astype(np.float32) - b.astype(np.float32)).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-2)))


def ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Structural similarity of two gray pictures, -1 to 1, with the usual Gaussian window (sigma 1.5)."""
    return float(_ssim_map(a.astype(np.float32), b.astype(np.float32)).mean())


def _ssim_map(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    def blur(x: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(x, (11, 11), 1.5)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    both = blur(a * b) - mean_a * mean_b
    top = (2 * mean_a * mean_b + C1) * (2 * both + C2)
    return top / ((mean_a**2 + mean_b**2 + C1) * (var_a + var_b + C2))


def likeness(a: np.ndarray, b: np.ndarray, shift: int = 6) -> float:
    """SSIM of two gray pictures at the best shift of at most `shift` pixels, over what both then show.

    A camera that comes back a step aside has come back.
    """
    inner = a[shift:-shift, shift:-shift]
    scores = cv2.matchTemplate(b, inner, cv2.TM_CCOEFF_NORMED)
    y, x = divmod(int(np.nan_to_num(scores, nan=-1.0).argmax()), scores.shape[1])
    there = b[y : y + inner.shape[0], x : x + inner.shape[1]]
    return max(ssim(inner, there), ssim(inner, b[shift:-shift, shift:-shift]))


def optical_flow(before: np.ndarray, after: np.ndarray, *, fine: bool = True) -> np.ndarray:
    """Dense flow [H, W, 2] in pixels (x, y) between two gray pictures, by OpenCV's DIS."""
    preset = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM if fine else cv2.DISOPTICAL_FLOW_PRESET_FAST
    flow = np.zeros((*before.shape, 2), np.float32)
    return cv2.DISOpticalFlow.create(preset).calc(before, after, flow)


def histogram(frames: np.ndarray) -> np.ndarray:
    """Shares [3, 16] of the values of uint8 [..., 3]."""
    return np.stack(
        [np.bincount(frames[..., c].ravel() // 16, minlength=16) / frames[..., c].size for c in range(3)]
    )


def color_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Between two histograms: 0 the same, 1 nothing in common."""
    return float(np.abs(a - b).sum(1).mean() / 2)
