"""The car of gta_drive, seen from behind: painted over the picture, where it always is."""

from __future__ import annotations

import torch
from torch import Tensor


def draw(picture: Tensor, pose: dict[str, Tensor], color: dict, value: dict) -> Tensor:
    """Pictures [N, 3, H, W] in [0, 1] with the car.

    It leans and swings its nose as it steers, and its lamps tell of braking and backing.
    """
    _, _, height, width = picture.shape
    device = picture.device
    y = 1 - (torch.arange(height, device=device) + 0.5).view(-1, 1) * (
        2 / height
    )  # up, half the height being 1
    x = ((torch.arange(width, device=device) + 0.5) - width / 2) * (2 / height)
    steer, speed, brake = (pose[name][:, None, None] for name in ("steer", "speed", "brake"))
    pixel = 2 / height
    x = x - 0.018 * steer
    lean = y - 0.05 * steer * x  # the body rolls out of the bend

    def box(cx, cy: float, half_x, half_y: float, r: float, y: Tensor = lean) -> Tensor:
        """Coverage of a box with round corners."""
        dx, dy = ((x - cx).abs() - half_x + r).clamp(min=0), ((y - cy).abs() - half_y + r).clamp(min=0)
        return ((r - torch.sqrt(dx * dx + dy * dy)) / pixel + 0.5).clamp(0, 1)

    def paint(what: Tensor, where: Tensor) -> None:
        nonlocal picture
        picture = picture + (what - picture) * where[:, None]

    def tone(red: float, green: float, blue: float) -> Tensor:
        return torch.tensor([red, green, blue], device=device).view(1, 3, 1, 1)

    dim = 1 - 0.35 * value["night"][:, None]
    body, trim = color["dots0"] * dim, color["dots1"] * dim
    black, glass = tone(0.09, 0.10, 0.13), tone(0.16, 0.22, 0.32)
    spread = ((x / 0.56) ** 2 + ((y + 0.90) / 0.10) ** 2).clamp(max=1)
    paint(tone(0.05, 0.06, 0.10), 0.55 * (1 - spread**2))
    for side in (-1, 1):
        paint(black, box(0.30 * side, -0.80, 0.09, 0.13, 0.04, y))
    # From the nose, which is farthest and swings most, to the rear.
    swing = 0.035 * steer
    paint(0.80 * body, box(1.6 * swing, -0.55, 0.31, 0.12, 0.06))
    slope = 0.30 - 0.45 * (lean + 0.50).clamp(min=0)
    paint(1.05 * body, box(swing, -0.42, slope, 0.20, 0.06))
    paint(1.18 * body, box(swing, -0.235, slope - 0.01, 0.022, 0.02))
    paint(glass, box(0.9 * swing, -0.40, slope - 0.05, 0.115, 0.04))
    shine = (x - 0.9 * swing - 0.5 * (lean + 0.40) + 0.06).abs()
    paint(glass + 0.30, box(0.9 * swing, -0.40, slope - 0.05, 0.115, 0.04) * (shine < 0.035) * 0.7)
    light = 0.92 + 0.5 * (lean[:, None] + 0.66)
    paint(body * light.clamp(0.78, 1.15), box(0.0, -0.65, 0.40, 0.15, 0.07))
    paint(0.62 * body, box(0.0, -0.545, 0.36, 0.012, 0.012))
    paint(black + 0.10, box(0.0, -0.785, 0.405, 0.055, 0.03))
    paint(trim, box(0.0, -0.665, 0.10, 0.036, 0.012))
    on, back = brake[:, None], (speed < -1e-3).float()[:, None]
    for side in (-1, 1):
        glow = torch.exp(-(((x - 0.31 * side) / 0.16) ** 2) - ((lean + 0.645) / 0.13) ** 2)
        paint(tone(1.0, 0.25, 0.15), 0.55 * glow * brake)
        lamp = tone(0.50, 0.05, 0.07) * (1 - on) + tone(1.0, 0.22, 0.14) * on
        paint(lamp, box(0.31 * side, -0.645, 0.075, 0.042, 0.02))
        paint(
            tone(0.72, 0.70, 0.68) * (1 - back) + tone(1.0, 1.0, 0.96) * back,
            box(0.205 * side, -0.645, 0.024, 0.036, 0.015),
        )
    return picture
