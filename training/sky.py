"""The sky with sun, clouds and skyline."""

from __future__ import annotations

import torch
from torch import Tensor

from training.paint import TAU, Grain, Rays, blend
from training.places import mix, smooth, uniform


def wrap(angle: Tensor) -> Tensor:
    """Radians in [-pi, pi)."""
    return angle - torch.floor(angle / TAU + 0.5) * TAU


def paint_sky(rays: Rays, color: dict, value: dict, grain: Grain, theme: Tensor, peaks: Tensor) -> Tensor:
    """The sky [N, 3, H, W]: functions of the direction and the theme alone."""
    m, azimuth = rays.m, rays.azimuth
    toward = wrap(value["sun_azimuth"] - azimuth)
    sky = blend(color["horizon"], color["zenith"], smooth(m, -0.05, 0.65))
    from_sun = torch.sqrt(toward**2 + (m - value["sun_slope"]) ** 2)
    sky = blend(sky, color["sun"], 0.55 * torch.exp(-from_sun * 4.5))
    sky = blend(sky, color["sun"] * 1.05, smooth(from_sun, 0.085, 0.077))

    # Two rows of clouds around the horizon, each a heap of circles with a flat bottom.
    for row, (low, size) in enumerate(((0.33, 0.17), (0.62, 0.20))):
        turn = azimuth * (9 / TAU) + 0.4 * row
        cell = torch.floor(turn)
        h = mix(torch.remainder(cell, 9).int() * 31 + theme.int()[:, None, None] * 977 + row * 7 + 1)
        grown = size * (0.65 + 0.35 * uniform(h))
        shift = 0.1 * (uniform(h, 8) - 0.5)
        px = ((turn - cell - 0.5 + shift) * (TAU / 9)) / grown
        py = (m - low - 0.10 * (uniform(h, 16) - 0.5)) / grown
        body = torch.full_like(m, -9.0)
        for x, y, r in ((0.0, 0.05, 0.52), (-0.62, -0.06, 0.38), (0.58, -0.04, 0.42), (-0.25, 0.22, 0.40),
                        (1.0, -0.12, 0.26), (-1.02, -0.12, 0.24)):  # fmt: skip
            body = torch.maximum(body, r / 2 - ((px - x) ** 2 + ((py - y) * 1.25) ** 2) * (0.5 / r))
        body = torch.minimum(body, (py + 0.26) * 1.25)
        there = smooth(body, 0.0, 0.07) * (uniform(h, 4) < value["clouds"])
        sky = blend(sky, blend(sky, color["cloud"], 0.72 + 0.28 * smooth(py + px * 0.05, -0.28, 0.1)), there)

    for layer, name in enumerate(("far", "near")):
        peak = peaks[:, layer]
        away = wrap(azimuth[:, 0, None] - peak[:, :, 0, None])  # N, peaks, W
        rise = (1 - away.abs() / peak[:, :, 2, None]) * value["plateau"]
        top, which = (peak[:, :, 1, None] * rise.clamp(max=1)).max(1, keepdim=True)
        away = away.gather(1, which)
        ridge = away + 0.2 * (top - m) * torch.sin(azimuth * 23) + grain.fine * 0.04
        lit = smooth(ridge * toward.sin().sign(), -0.004, 0.004)
        rock = blend(color[name + "1"], color[name + "0"], lit)
        zigzag = 0.016 * torch.sin(azimuth * 31) + 0.010 * torch.sin(azimuth * 67)
        snow = smooth(m - value["cap_from"] - zigzag, -0.004, 0.004) * (1 - layer)
        strata = smooth(torch.sin(m * 150 + azimuth * 3), -0.3, 0.3) * (value["cap_from"] > 1) * 0.45
        rock = blend(rock, color["cap"] * (0.8 + 0.2 * lit[:, None]), torch.maximum(snow, strata))
        rock = blend(rock, color["haze"], (0.75 - m / top.clamp(min=1e-3)).clamp(0, 1) * 0.6)
        sky = blend(sky, rock, smooth(m - top, 0.003, -0.003))
    return sky
