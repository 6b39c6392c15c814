"""A procedural world, drawn by ray casting in plain tensor operations: unlimited, exact training data.

    generator = torch.Generator().manual_seed(0)
    world = sample_worlds(8, generator)                          # 8 places; .to("cuda") moves them
    keyboard, mouse = sample_actions(8, 81, generator)           # [8, 81, 4], [8, 81, 2]
    poses = integrate(world, sample_start(world, generator), keyboard, mouse)   # [8, 81, 5]
    frames = render(world, poses, 144, 256)                      # uint8 [8, 81, 3, 144, 256]

`render_frames` is a pure function of tensors with fixed trip counts, made for `torch.compile`; `render` cuts
a batch of clips into equal pieces for it.

The camera is a shift lens: pitch moves the picture along the vertical and
leaves upright lines upright, so a column of pixels lies in one upright plane of the world. That makes drawing
cheap: objects are found once a column, and each is cut by the column's plane. Every pixel is the mean of four
samples, and detail finer than a sample fades out before it is drawn, so nothing shimmers.

    python -m training.renderer --mode gta_drive --contact-sheet sheet.png
    python -m training.renderer --mode gta_drive --film-strip strip.png
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from mgdemo.actions import MODES, ActionTrack
from mgdemo.measure.speeds import HALF_VIEW
from training import car, ground
from training.ground import Grain, Rays, blend, cover
from training.motion import (
    POSE,
    as_tensors,
    integrate,
    push_out,
    sample_actions,
    sample_start,
    sample_worlds,
    step,
)
from training.places import (
    CAUSEWAY,
    CELL,
    COLORS,
    EDGE,
    PART_WIDTH,
    ROW,
    SURFACE,
    VALUES,
    Objects,
    World,
    is_held_out,
    make_world,
    mix,
    objects_at,
    over,
    row_at,
    smooth,
    uniform,
)
from training.shapes import PARTS
from training.themes import THEMES

__all__ = [
    "THEMES",
    "World",
    "integrate",
    "is_held_out",
    "make_world",
    "push_out",
    "render",
    "render_frames",
    "sample_actions",
    "sample_start",
    "sample_worlds",
    "step",
]

SAMPLES = 2  # a pixel, each way
WINDOW = 0.32  # half a window's width and height, over the distance from one to the next
BARS = 0.025  # half the width of its glazing bars, likewise
STEPS = 12  # cells a ray crosses
ROWS = 12  # pairs of things along a causeway that are looked at
SLOTS = {"universal": 5, "gta_drive": 6, "templerun": 7}  # objects a column of pixels may meet
VIEW = 40.0  # objects grow out of the ground between this distance and NEAR_VIEW
NEAR_VIEW = 33.0
TAU = 2 * math.pi

# What is known of each part that a column of pixels cuts.
FEATURES = (
    "s0", "q", "k", "yc", "y0", "y1", "round", "n_along", "n_side", "p1", "v1", "p2", "v2", "gable",
    "hx", "hz", "tint", *SURFACE,
)  # fmt: skip


def wrap(angle: Tensor) -> Tensor:
    return angle - torch.floor(angle / TAU + 0.5) * TAU


# --------------------------------------------------------------------------------------------- columns


def _lattice(world: World, x: Tensor, z: Tensor, dx: Tensor, dz: Tensor) -> Objects:
    """The objects [N, STEPS, W] of the cells that rays from (x, z) [N, 1] along (dx, dz) [N, W] cross."""
    sx, sz = torch.where(dx < 0, -1.0, 1.0), torch.where(dz < 0, -1.0, 1.0)
    gx, gz = 1 / dx.abs().clamp(min=1e-6), 1 / dz.abs().clamp(min=1e-6)
    cx, cz = torch.floor(x / CELL) + 0 * dx, torch.floor(z / CELL) + 0 * dz
    tx, tz = ((cx + (sx + 1) / 2) * CELL - x) * sx * gx, ((cz + (sz + 1) / 2) * CELL - z) * sz * gz
    cells = []
    for _ in range(STEPS):
        cells.append(torch.stack([cx, cz]))
        first = (tx < tz).float()
        cx, cz = cx + sx * first, cz + sz * (1 - first)
        tx, tz = tx + CELL * gx * first, tz + CELL * gz * (1 - first)
    return objects_at(world, *torch.stack(cells, 2).int())


def _along_causeway(world: World, pose: dict[str, Tensor], there: Objects) -> Objects:
    """The objects [N, C, W] of the lattice, those in the way sunk, and the ones beside the causeway."""
    causeway = ground.Causeway.of(pose)
    width = there.x.shape[2]
    sunk = there.size
    for stretch in causeway.stretches:
        across, along = stretch.place(there.x, there.z)
        near = (across.abs() < EDGE + 0.4 + there.reach) & (
            along > -2 * CAUSEWAY - 1e6 * over(stretch.endless, along)
        )
        sunk = sunk * (1 - near * over(stretch.up, sunk))
    groups = [there._replace(size=sunk)]
    old, new = causeway.stretches
    for stretch, other in ((old, new), (new, None)):
        _, here = stretch.place(pose["x"][:, None], pose["z"][:, None])
        index = torch.floor(here / ROW).int() - 1 + torch.arange(ROWS, dtype=torch.int32, device=here.device)
        row = Objects(*(field.flatten(1) for field in row_at(world, index, stretch.number[:, None])))
        x, z = stretch.spot(row.x, row.z)
        size = row.size * stretch.shown(row.z)
        if other is not None:
            across, along = other.place(x, z)
            in_the_way = (across.abs() < EDGE + 0.5) & (along > -EDGE)
            size = size * (1 - in_the_way * over(other.up, size))
        cos, sin = over(stretch.cos, x) + 0 * x, over(stretch.sin, x) + 0 * x
        row = row._replace(x=x, z=z, size=size, cos=cos, sin=sin)
        groups.append(Objects(*(field[:, :, None].expand(-1, -1, width) for field in row)))
    return Objects(*(torch.cat(fields, 1) for fields in zip(*groups, strict=True)))


def _columns(
    world: World, pose: dict[str, Tensor], width: int
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """What each column of pixels meets, in the order of distance.

    Returns its azimuth [N, W], the cosine of its angle to the view's axis [W], the features of the parts it
    cuts [N, len(FEATURES), slots * PARTS, W], of each object's shadow the middle, the squared offset over the
    squared radius and the inverse squared radius [N, 3, slots, W], and the objects' kinds [N, slots, W].
    """
    x, z, yaw = (pose[name][:, None] for name in ("x", "z", "yaw"))
    across = ((torch.arange(width, device=x.device) + 0.5) * (2 / width) - 1) * HALF_VIEW
    azimuth = yaw + torch.atan(across)
    dx, dz = azimuth.sin(), azimuth.cos()

    # Keep the first objects whose width or shadow the column touches.
    there = _lattice(world, x, z, dx, dz)
    if world.mode == "templerun":
        there = _along_causeway(world, pose, there)
    ox, oz = there.x - x[:, None], there.z - z[:, None]
    ahead, aside = ox * dx[:, None] + oz * dz[:, None], ox * dz[:, None] - oz * dx[:, None]
    met = (aside.abs() < there.reach * 1.15) & (ahead > -there.reach) & (ahead < VIEW) & (there.size > 0)
    near, order = torch.where(met, ahead, 1e6).sort(1)
    slots = SLOTS[world.mode]
    order, valid = order[:, :slots], near[:, :slots] < 1e5
    there = Objects(*(field.gather(1, order) for field in there))
    ox, oz = there.x - x[:, None], there.z - z[:, None]
    size = there.size * valid * smooth(torch.sqrt(ox**2 + oz**2), VIEW, NEAR_VIEW)

    # A soft dark disc under each object, a little away from the sun.
    sun, radius = world.values[:, VALUES.index("sun_azimuth")], there.reach.clamp(min=1e-2, max=2.4)
    hx, hz = ox - 0.15 * radius * over(sun.sin(), ox), oz - 0.15 * radius * over(sun.cos(), oz)
    inverse = (size > 0) / radius**2
    middle, aside = hx * dx[:, None] + hz * dz[:, None], hx * dz[:, None] - hz * dx[:, None]
    shadows = torch.stack([middle, aside**2 * inverse, inverse], 1)

    # Cut every part by the column's plane: a round one is (s - s0)^2 + k (y - yc)^2 <= q there, a box (with
    # k = 0) an interval of s. p + v s is the ray in the object's own axes, n the normal of a box's face.
    n, slots, w = size.shape
    kind = there.kind.view(n, -1, 1).expand(-1, -1, PARTS * PART_WIDTH)
    part = world.parts.flatten(2).gather(1, kind).view(n, slots, w, PARTS, PART_WIDTH)
    k, yc, r2, y0, y1, box, gable, hx, hz, px, pz, *surface = part.permute(4, 0, 1, 3, 2)
    big, cos, sin, ox, oz = (field[:, :, None] for field in (size, there.cos, there.sin, ox, oz))
    dx, dz = dx[:, None, None], dz[:, None, None]
    ax, az = ox + big * (cos * px + sin * pz), oz + big * (cos * pz - sin * px)
    s0, side = ax * dx + az * dz, az * dx - ax * dz
    q = big**2 * r2 - side**2
    v1, v2 = (dx * cos - dz * sin).expand_as(q), (dx * sin + dz * cos).expand_as(q)
    v1, v2 = v1 + (v1.abs() < 1e-5) * 2e-5, v2 + (v2.abs() < 1e-5) * 2e-5
    p1, p2 = az * sin - ax * cos, -(ax * sin + az * cos)
    half1, half2 = (big * hx / v1).abs(), (big * hz / v2).abs()
    in1, in2 = -p1 / v1 - half1, -p2 / v2 - half2
    enter, leave = torch.maximum(in1, in2), torch.minimum(in1 + 2 * half1, in2 + 2 * half2)
    half = (leave - enter) / 2
    first, flat = (in1 > in2).float(), box + gable
    n_along = -first * v1.abs() - (1 - first) * v2.abs()
    n_side = (1 - first) * v2.sign() * v1 - first * v1.sign() * v2
    s0 = torch.where(box > 0, (enter + leave) / 2, s0)
    q = torch.where(box > 0, half * half.abs(), q)
    q = torch.where((gable > 0) | (big <= 0), -1.0, q)
    n_side = torch.where(flat > 0, n_side, side)
    tint = there.tint[:, :, None].expand_as(s0)
    features = [
        s0,
        q,
        k,
        yc * big,
        y0 * big,
        y1 * big,
        1 - flat,
        n_along * flat,
        n_side,
        p1,
        v1,
        p2,
        v2,
        gable,
    ]
    features += [hx * big, hz * big, tint, *surface]
    return azimuth, torch.rsqrt(1 + across**2), torch.stack(features, 1).flatten(2, 3), shadows, there.kind


def _nearest(feature: dict[str, Tensor], m: Tensor, eye: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """The first part (index [N, H, W], 31 where none) that rays of slope m meet, and where.

    eye [N, 1, 1]: where the rays begin; floor [N, H, W]: where they meet the ground, or 1e6.
    """
    count = feature["s0"].shape[1]
    m, inverse = m[:, None], (1 / m)[:, None]
    m2, eye = m * m, eye[:, None]
    # Distances are compared as integers, with the part's index in their five lowest bits.
    nearest = (floor.view(torch.int32) & -32) | 31
    # All parts at once when compiled into one loop, else one by one: each operation stores its result.
    group = count if torch.compiler.is_compiling() else 1

    def nearer(nearest: Tensor, enter: Tensor, leave: Tensor, parts: range) -> Tensor:
        # A miss, or what lies behind (enter >= leave), is pushed far behind everything.
        enter = enter.clamp(min=1e-3)
        enter = torch.add(enter, (enter - leave).clamp(min=0), alpha=1e12)
        index = torch.arange(parts.start, parts.stop, parts.step, dtype=torch.int32, device=m.device)
        found = (enter.view(torch.int32) & -32) | index.view(-1, 1, 1)
        return torch.minimum(nearest, found.amin(1) if group > 1 else found[:, 0])

    def columns(names: str, parts: range) -> list[Tensor]:
        return [feature[name][:, parts.start : parts.stop : parts.step, None] for name in names.split()]

    for i in range(0, count, group):
        parts = range(i, i + group)
        s0, q, k, yc, y0, y1 = columns("s0 q k yc y0 y1", parts)
        a = 1 + k * m2
        d = (eye - yc) + m * s0
        kd = k * d
        over_a = 1 / a
        half = torch.sqrt((q * a - kd * d).clamp(min=0)) * over_a - 1e-4
        middle = s0 - kd * m * over_a
        low, high = (y0 - eye) * inverse, (y1 - eye) * inverse
        enter = torch.maximum(middle - half, torch.minimum(low, high))
        leave = torch.minimum(middle + half, torch.maximum(low, high))
        nearest = nearer(nearest, enter, leave, parts)
    for i in range(1, count, group * PARTS):  # a roof: two sloping planes, a floor, and upright ends
        parts = range(i, min(i + group * PARTS, count), PARTS)
        p1, v1, p2, v2, hx, hz, y0, y1, gable = columns("p1 v1 p2 v2 hx hz y0 y1 gable", parts)
        span, rise = 1 / hz.clamp(min=1e-3), 1 / (y1 - y0).clamp(min=1e-3)
        half = hx / v1.abs() - (gable < 0.5) * 1e4
        low, high = (y0 - eye) * inverse, (y1 - eye) * inverse
        enter = torch.maximum(-p1 / v1 - half, torch.minimum(low, high))
        leave = torch.minimum(-p1 / v1 + half, torch.maximum(low, high)) - 2e-4
        for side in (-1, 1):
            b = side * v2 * span + m * rise
            at = (1 - (eye - y0) * rise - side * p2 * span) / (b + (b == 0) * 1e-6)
            out = (b >= 0).float()
            enter = torch.maximum(enter, at * (1 - out) - 1e6 * out)
            leave = torch.minimum(leave, at * out + 1e6 * (1 - out))
        nearest = nearer(nearest, enter, leave, parts)
    return nearest & 31, (nearest & -32).view(torch.float32)


# ---------------------------------------------------------------------------------------------- colors


def _noise(u: Tensor, v: Tensor, seed: Tensor, mask: Tensor) -> Tensor:
    """Value noise in [-0.5, 0.5] on the unit lattice; `mask` wraps u's cells (2^n - 1, or -1 for never)."""
    fu, fv = torch.floor(u), torch.floor(v)
    iu, iv = fu.int(), fv.int()
    u, v = u - fu, v - fv
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    a0, a1 = (iu & mask) * 0x1B873593, ((iu + 1) & mask) * 0x1B873593
    b0 = iv * 0x27D4EB2F + seed
    b1 = b0 + 0x27D4EB2F

    def corner(a: Tensor, b: Tensor) -> Tensor:
        h = (a ^ b) * 0x7FEB352D
        h = (h ^ (h >> 16)) * -0x7B935975
        return ((h >> 16) & 0xFFFF).float()

    low = torch.lerp(corner(a0, b0), corner(a1, b0), u)
    return torch.lerp(low, torch.lerp(corner(a0, b1), corner(a1, b1), u), v) * (1 / 65535) - 0.5


def _sky(rays: Rays, color: dict, value: dict, grain: Grain, theme: Tensor, peaks: Tensor) -> Tensor:
    """The sky [N, 3, H, W] with sun, clouds and skyline: functions of the direction and the theme alone."""
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


def _surface(rays: Rays, at) -> Surface:
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


def _things(rays: Rays, color: dict, value: dict, grain: Grain, at, surface: Surface) -> Tensor:
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


class Cast(NamedTuple):
    """Rays through all samples of N pictures, and what they meet."""

    pose: dict[str, Tensor]
    color: dict[str, Tensor]
    value: dict[str, Tensor]
    feature: dict[str, Tensor]  # of the parts that each column cuts [N, slots * PARTS, W]
    shadows: Tensor
    kind: Tensor  # of the object to which `rays.part` belongs, int64 [N, H, W] (any, where nothing was hit)
    rays: Rays
    x: Tensor  # where they end
    z: Tensor


def cast_rays(world: World, poses: Tensor, height: int, width: int) -> Cast:
    """SAMPLES x SAMPLES rays a pixel, of N poses [N, P], each in its own place of `world` [N]."""
    pose = dict(zip(POSE[world.mode], poses.unbind(1), strict=True))
    focal = width / 2 / HALF_VIEW
    azimuth, stretch, features, shadows, kinds = _columns(world, pose, width * SAMPLES)
    azimuth, eye = azimuth[:, None], pose["eye"][:, None, None]
    feature = dict(zip(FEATURES, features.unbind(1), strict=True))
    color = {name: world.colors[:, i, :, None, None] for i, name in enumerate(COLORS)}
    color["haze"] = 0.65 * color["horizon"] + 0.35 * color["near0"]
    value = {name: world.values[:, i, None, None] for i, name in enumerate(VALUES)}

    up = (height / 2 - (torch.arange(height * SAMPLES, device=poses.device) + 0.5) / SAMPLES) / focal
    m = (up + pose["pitch"][:, None].tan())[:, :, None] * stretch
    m = m + (m == 0) * 1e-6

    def spot(s: Tensor) -> tuple[Tensor, Tensor]:
        return pose["x"][:, None, None] + azimuth.sin() * s, pose["z"][:, None, None] + azimuth.cos() * s

    floor = (-eye / m).clamp(max=400.0) + (m > 0) * 1e6
    if world.mode == "templerun":  # beside the causeway one looks down on the sea
        _, off = ground.Causeway.of(pose).distance(*spot(floor.clamp(max=400.0)))
        floor = torch.where(off > 0, (-(eye + ground.SEA) / m).clamp(max=400.0) + (m > 0) * 1e6, floor)
    part, s = _nearest(feature, m, eye, floor)
    is_sky, is_object = (s > 1e4).float(), (part < 31).float()
    s, part = s.clamp(max=400.0), part.clamp(max=feature["s0"].shape[1] - 1).long()
    rays = Rays(eye, m, azimuth, s, part, is_object, 1 - is_object - is_sky, is_sky, focal)
    return Cast(pose, color, value, feature, shadows, kinds.gather(1, part // PARTS), rays, *spot(s))


def render_frames(world: World, poses: Tensor, height: int, width: int) -> Tensor:
    """Pictures [N, 3, height, width] in [0, 1] of N poses [N, P], each in its own place of `world` [N].

    Fixed shapes in, fixed shapes out: compile it with a constant N.
    """
    pose, color, value, feature, shadows, _, rays, x, z = cast_rays(world, poses, height, width)
    is_object, is_sky, s = rays.is_object, rays.is_sky, rays.s

    def at(name: str) -> Tensor:
        return feature[name].gather(1, rays.part)

    surface = _surface(rays, at)
    grain = _grain(rays, world, surface, at("tint"), x, z)
    land = ground.PAINT[world.mode](rays, world, pose, color, value, grain, x, z)
    land = land * (1 - 0.6 * _shadow(rays, shadows)[:, None] * (1 - color["shade"] * 0.7))
    thing = _things(rays, color, value, grain, at, surface)
    sky = _sky(rays, color, value, grain, world.theme, world.peaks)
    picture = land * rays.is_ground[:, None] + thing * is_object[:, None]
    air = 0.85 * (1 - torch.exp(-((s / value["fog"]) ** 2)))
    picture = blend(picture, color["haze"], air) * (1 - is_sky[:, None]) + sky * is_sky[:, None]
    if world.mode == "gta_drive":
        picture = car.draw(picture, pose, color, value)
    return F.avg_pool2d(picture.clamp(0, 1), SAMPLES)


def _shadow(rays: Rays, shadows: Tensor) -> Tensor:
    """How much of the sun's light [N, H, W] the soft discs under things take from the ground, 0 to 1."""
    dark = torch.zeros_like(rays.s)
    for i in range(shadows.shape[2]):
        middle, aside, inverse = (shadows[:, f, i, None] for f in range(3))
        dark = torch.maximum(dark, (1 - aside - (rays.s - middle) ** 2 * inverse) * (inverse > 0))
    return smooth(dark, 0.0, 0.7)


def _grain(rays: Rays, world: World, surface: Surface, tint: Tensor, x: Tensor, z: Tensor) -> Grain:
    """One evaluation of noise that serves the ground, the objects' surfaces and the sky."""
    is_object, is_ground, is_sky = rays.is_object, rays.is_ground, rays.is_sky
    level, along_1 = (surface.n_up.abs() > 0.75).float(), (surface.n2.abs() > surface.n1.abs()).float()
    frequency = 1.7 * is_object + 0.42 * is_ground
    u = torch.lerp(surface.l2, surface.l1, torch.maximum(along_1, level)) + tint * 61
    v = torch.lerp(surface.y, surface.l2, level) + tint * 17
    u = (is_object * u + is_ground * x) * frequency + is_sky * (rays.azimuth * (32 / TAU))
    v = (is_object * v + is_ground * z) * frequency + is_sky * (rays.m * 13.0)
    sky = is_sky.int()
    seed = (1 - sky) * world.seed[:, None, None] + sky * (world.theme.int()[:, None, None] * 7919 + 5)
    mask = sky * 32 - 1
    # On the ground a pixel's length grows with the square of distance.
    pixel = frequency * rays.s * (is_object + is_ground * rays.s.clamp(max=100.0)) * (1 / rays.focal)
    fade = (1.5 - 1.6 * pixel).clamp(0, 1)
    coarse = _noise(u, v, seed, mask) * fade
    fine = _noise(2 * u + 0.37, 2 * v + 0.71, seed + 1013, mask * 2 + 1) * (1.5 - 3.2 * pixel).clamp(0, 1)
    return Grain(coarse, fine, fade)


def render(
    world: World, poses: Tensor, height: int, width: int, *, chunk: int | None = None, frames=render_frames
) -> Tensor:
    """Clips uint8 [B, T, 3, height, width] of poses [B, T, P].

    Pictures are drawn `chunk` at a time (default 32 on a GPU, 1 on a CPU), always exactly that many, by
    `frames`, which may be a compiled `render_frames`.
    """
    chunk = chunk or (1 if poses.device.type == "cpu" else 32)
    batch, length = poses.shape[:2]
    flat = poses.flatten(0, 1)
    out = torch.empty(batch * length, 3, height, width, dtype=torch.uint8, device=poses.device)
    for first in range(0, batch * length, chunk):
        index = torch.arange(first, first + chunk, device=poses.device).clamp(max=batch * length - 1)
        piece = frames(world.take(index // length), flat[index], height, width)
        count = min(chunk, batch * length - first)
        out[first : first + count] = (piece[:count] * 255).round().to(torch.uint8)
    return out.view(batch, length, 3, height, width)


# --------------------------------------------------------------------------------------------- pictures


def contact_sheet(path: str, mode: str, *, columns: int = 6, seed: int = 0) -> None:
    """A PNG of start views, one theme a row, from held-out places."""
    generator = torch.Generator().manual_seed(seed)
    sheet = Image.new("RGB", (columns * 258 - 2, len(THEMES[mode]) * 146 - 2), "white")
    for row, theme in enumerate(THEMES[mode]):
        world = sample_worlds(columns, generator, mode=mode, held_out=True, themes=(theme.name,))
        frames = render(world, sample_start(world, generator)[:, None], 144, 256)[:, 0]
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame.permute(1, 2, 0).numpy()), (column * 258, row * 146))
    sheet.quantize(160).save(path, optimize=True)


def film_strip(path: str, mode: str, *, every: int = 6, columns: int = 6, seed: int = 0) -> None:
    """A PNG of what each single control does, one row per control, at regular frames."""
    controls = MODES[mode].controls
    generator = torch.Generator().manual_seed(seed)
    sheet = Image.new("RGB", (columns * 258 - 2, (len(controls) + 1) * 146 - 2), "white")
    world = sample_worlds(len(controls) + 1, generator, mode=mode, held_out=True)
    tracks = [
        ActionTrack.hold(mode, held, frames=every * columns) for held in [()] + [(c.name,) for c in controls]
    ]
    keyboard, mouse = as_tensors(tracks)
    poses = integrate(world, sample_start(world, generator), keyboard, mouse)[:, ::every]
    for row, frames in enumerate(render(world, poses, 144, 256)):
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame.permute(1, 2, 0).numpy()), (column * 258, row * 146))
    sheet.quantize(160).save(path, optimize=True)


def start_images(
    folder: str, count: int, mode: str = "universal", *, height: int = 144, width: int = 256, seed: int = 0
) -> None:
    """Write `count` start pictures from held-out places, and `starts.json`: their seeds, themes and poses."""
    generator = torch.Generator().manual_seed(seed)
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        theme = THEMES[mode][i % len(THEMES[mode])].name
        world = sample_worlds(1, generator, mode=mode, held_out=True, themes=(theme,))
        pose = sample_start(world, generator)
        name = f"{theme.replace(' ', '-')}-{i // len(THEMES[mode]) + 1}.png"
        frame = render(world, pose[:, None], height, width)[0, 0].permute(1, 2, 0)
        Image.fromarray(frame.numpy()).save(out / name)
        rows.append({"image": name, "seed": int(world.seed), "theme": theme, "pose": pose[0].tolist()})
    (out / "starts.json").write_text(json.dumps(rows, indent=1) + "\n")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.renderer", description="Draw the procedural worlds."
    )
    parser.add_argument("--mode", choices=list(THEMES), default="universal")
    parser.add_argument("--contact-sheet", metavar="PNG", help="start views of every theme")
    parser.add_argument("--film-strip", metavar="PNG", help="what every control does")
    parser.add_argument("--start-images", metavar="DIR", help="start pictures and starts.json")
    parser.add_argument("--count", type=int, default=9, help="how many start pictures")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not (args.contact_sheet or args.film_strip or args.start_images):
        parser.error("say --contact-sheet PNG, --film-strip PNG or --start-images DIR")
    if args.contact_sheet:
        contact_sheet(args.contact_sheet, args.mode, seed=args.seed)
    if args.film_strip:
        film_strip(args.film_strip, args.mode, seed=args.seed)
    if args.start_images:
        start_images(args.start_images, args.count, args.mode, seed=args.seed)


if __name__ == "__main__":
    main()
