"""The surfaces of objects: where rays meet them, and how they are painted."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.paint import TAU, Grain, Rays, blend, cover
from training.places import mix, smooth, uniform

WINDOW = 0.32  # half a window's width and height, over the distance from one to the next
BARS = 0.025  # half the width of its glazing bars, likewise


class Surface(NamedTuple):
    """Where rays meet objects: place and normal (of unit length) in the object's own axes, and upwards."""

    l1: Tensor
    l2: Tensor
    y: Tensor
    high: Tensor  # share of the part's height
    n1: Tensor
    n2: Tensor
    n_up: Tensor
    n_along: Tensor  # the normal again, along and to the right of the ray
    n_side: Tensor


def surface_at(rays: Rays, at) -> Surface:
    s, m = rays.s, rays.m
    y, y0, y1, k, hz, gable = rays.eye + m * s, at("y0"), at("y1"), at("k"), at("hz"), at("gable")
    v1, v2 = at("v1"), at("v2")
    l1, l2 = at("p1") + v1 * s, at("p2") + v2 * s
    rise = (y1 - y0).clamp(min=1e-2)
    high = (y - y0) / rise
    # On a gable: a slope or an upright end. Elsewhere: a level cap or the side.
    slope = gable * (l2.abs() / hz.clamp(min=1e-2) + high > 0.99)
    end = gable - slope
    bottom, top = (high < 2e-3 / rise) * (1 - gable), (high > 1 - 2e-3 / rise) * (1 - gable)
    wall = 1 - torch.maximum(gable, torch.maximum(bottom, top))
    n_along, n_side = wall * (at("n_along") + at("round") * (s - at("s0"))), wall * at("n_side")
    n1 = n_along * v1 + n_side * v2 - end * v1.sign()
    n2 = n_along * v2 - n_side * v1 + slope * l2.sign() * rise
    n_up = wall * k * (y - at("yc")) + slope * hz + top - bottom
    scale = torch.rsqrt(n1**2 + n2**2 + n_up**2 + 1e-12)
    n1, n2, n_up = n1 * scale, n2 * scale, n_up * scale
    return Surface(l1, l2, y, high, n1, n2, n_up, n1 * v1 + n2 * v2, n1 * v2 - n2 * v1)


def paint_things(rays: Rays, color: dict, value: dict, grain: Grain, at, surface: Surface) -> Tensor:
    """The objects [N, 3, H, W]: two tones, stripes, snow, doors and windows, in the sun's light."""
    l1, l2, y, high, n1, n2, n_up, n_along, n_side = surface
    s, focal, both, tint = rays.s, rays.focal, 1.2 * grain.coarse + 0.8 * grain.fine, at("tint")

    def tone(i: int) -> Tensor:
        return torch.stack([at(f"{c}{i}") for c in ("red", "green", "blue")], 1)

    stripes = at("stripes")
    band = torch.sin(y * stripes * TAU + grain.coarse * 2.0) * (stripes > 0)
    band = band * (1.4 - stripes * s / focal * 2).clamp(0, 1)
    mottle = smooth(both + band * 0.25 - 0.18 * n_up, -0.16, 0.16) * (0.4 + 0.6 * grain.fade)
    thing = blend(tone(0), tone(1), at("mottle") * mottle) * (0.93 + 0.14 * tint[:, None])
    snow = at("snow")
    snowed = smooth(snow * 1.3 - 1.2 + n_up + grain.fine * 0.8 + 0.6 * high, 0.18, 0.30) * (snow > 0)
    thing = blend(thing, torch.ones_like(thing) * 0.98, snowed)

    # The door is on one side, windows are on the other three, in units of the house's half width and height.
    across_1 = (n2.abs() > n1.abs()).float()
    place = torch.lerp(l2, l1, across_1) / at("hz").clamp(min=1e-2)
    door_side = (1 - across_1) * (n1 > 0)
    house = at("house") * (n_up.abs() < 0.5)
    crisp = 0.02 + s * (1.2 / focal)

    def panel(half: float, low: float, top: float, offset: Tensor) -> Tensor:
        inside = torch.minimum(half - offset.abs(), torch.minimum(high - low, top - high))
        return cover(inside, crisp) * house

    window = place.abs() - 0.5
    door = panel(0.24, -1.0, 0.64, place) * door_side
    frame, glass = (
        panel(*size, window) * (1 - door_side) for size in ((0.27, 0.30, 0.80), (0.18, 0.38, 0.72))
    )
    # Seams between boards: a wall that fills the picture still shows how one moves.
    boards = at("boards")
    pixel = s / focal * boards
    seam = 0.5 - (torch.remainder(y * boards, 1) - 0.5).abs()
    seam = cover(0.07 - seam, pixel.clamp(min=1e-2)) * (1.6 - 3 * pixel).clamp(0, 1)
    thing = thing * (1 - 0.24 * seam * house * (boards > 0))[:, None]
    lamp = at("lamp")
    pane = torch.stack([0.45 + 0.55 * lamp, 0.68 + 0.16 * lamp, 0.88 - 0.42 * lamp], 1)
    thing = blend(thing * (1 - 0.58 * torch.maximum(door, frame * 0.75))[:, None], pane, glass)

    # Rows of windows, as many whole ones as fit.
    panes, half = at("panes"), torch.lerp(at("hz"), at("hx"), across_1)
    columns, floors = torch.round(2 * half * panes), torch.round((at("y1") - at("y0")) * panes)
    along = (torch.lerp(l2, l1, across_1) / half.clamp(min=1e-2) + 1) / 2 * columns
    column, up = torch.floor(along), high * floors
    row = torch.floor(up)
    h = mix(column.int() * 0x1B873593 ^ (row.int() * 0x27D4EB2F + (tint * 65535).int() + door_side.int()))
    crisp = s * panes / focal
    aside, above = (along - column - 0.5).abs(), (up - row - 0.5).abs()
    inside = torch.minimum(WINDOW - torch.maximum(aside, above), torch.minimum(aside, above) - BARS)
    sharp, there = 0.02 + 1.2 * crisp, (1.5 - 2 * crisp).clamp(0, 1) * (panes > 0) * (n_up.abs() < 0.5)
    inside = cover(inside, sharp) * there
    joint = cover(0.03 - 0.5 + torch.maximum(aside, above), sharp) * there
    thing = thing * (1 - 0.3 * joint)[:, None]
    shining = (uniform(h) < lamp).float()
    dark = torch.stack([0.42 - 0.22 * lamp, 0.60 - 0.34 * lamp, 0.78 - 0.36 * lamp], 1)
    warm = torch.stack([0.98 + 0 * s, 0.80 + 0.12 * uniform(h, 4), 0.46 + 0.34 * uniform(h, 4)], 1)
    thing = blend(thing, blend(dark, warm, shining), inside)

    facets, glow = at("facets"), at("glow")
    n_along, n_side, n_up = (n + facets * (torch.round(n * 1.6) / 1.6 - n) for n in (n_along, n_side, n_up))
    toward = value["sun_azimuth"] - rays.azimuth
    slope = value["sun_slope"] + 0.35  # the light falls more steeply than the sun stands: fewer dark sides
    lit = n_along * toward.cos() + n_side * toward.sin() + n_up * slope
    lit = smooth(lit * torch.rsqrt(1 + slope**2) + 0.15 * both, -0.35, 0.65)
    lit = torch.maximum(torch.maximum(lit, glass * lamp), inside * shining)
    light = blend(color["shade"] * (0.85 + 0.15 * n_up[:, None]), color["light"] * 1.04, lit)
    light = light * (0.8 + 0.2 * smooth(y, -0.05, 0.7))[:, None]
    return thing * torch.maximum(light, torch.maximum(glow, inside * shining)[:, None])
