"""A procedural world, drawn by ray casting in plain tensor operations: unlimited, exact training data.

    generator = torch.Generator().manual_seed(0)
    world = sample_worlds(8, generator)                          # 8 places; .to("cuda") moves them
    keyboard, mouse = sample_actions(8, 81, generator)           # [8, 81, 4], [8, 81, 2]
    poses = integrate(world, sample_start(world, generator), keyboard, mouse)   # [8, 81, 4]
    frames = render(world, poses, 144, 256)                      # uint8 [8, 81, 3, 144, 256]

A place is endless and addressed by (seed, theme, position): everything in it comes from integer hashes, so
the same pose shows the same picture at any time and on any device (up to rounding). `render_frames` is a pure
function of tensors with fixed trip counts, made for `torch.compile`; `render` cuts a batch of clips into
equal pieces for it.

A pose is (x, z, yaw, pitch), in units and radians: yaw 0 looks along +z, yaw grows to the right, pitch grows
upwards. The eye is 1.0 above the ground. The camera is a shift lens: pitch moves the picture along the
vertical and leaves upright lines upright, so a column of pixels lies in one upright plane of the world. That
makes drawing cheap: objects are found per column, and each is cut by the column's plane.

The action of video frame f moves frame f to frame f+1: the last row of a clip's actions moves nothing.

    python -m training.renderer --contact-sheet sheet.png
    python -m training.renderer --start-images DIR --count 8
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from training.themes import PARTS, THEMES, Part, Theme

EYE = 1.0
CLEARANCE = 0.8  # the camera stays this far from what is solid
SPEED = 0.10  # units a frame
TURN = math.radians(15)  # radians a frame for a mouse value of 1, so 1.5 degrees for 0.1
PITCH_LIMIT = math.radians(25)
HALF_VIEW = math.tan(math.radians(75) / 2)  # tangent of half the horizontal field of view

CELL = 5.0  # side of the lattice's cells; each holds at most one object, and holds it wholly
STEPS = 13  # cells a ray crosses
SLOTS = 7  # objects a column of pixels may meet
VIEW = 40.0  # objects grow out of the ground between this distance and NEAR_VIEW
NEAR_VIEW = 33.0
HELD_OUT = 8  # seeds divisible by this are never trained on


class World(NamedTuple):
    """A batch of B places. Made by `make_world`; every field is indexed by place first."""

    seed: Tensor  # int32 [B]
    theme: Tensor  # int64 [B], index into THEMES
    path: Tensor  # [B, 5]: where the paths run
    colours: Tensor  # [B, len(_COLOURS), 3]
    values: Tensor  # [B, len(_VALUES)]
    kinds: Tensor  # [B, kinds, 5]: cumulated share, solid radius, reach, least and greatest size
    parts: Tensor  # [B, kinds, PARTS, _PART_WIDTH]
    peaks: Tensor  # [B, 2, peaks, 3]: far and near skyline; azimuth, height, half width

    def to(self, device: torch.device | str) -> World:
        return World(*(field.to(device) for field in self))

    def repeat(self, frames: int) -> World:
        """Each place `frames` times over, for as many poses of it."""
        return World(*(field.repeat_interleave(frames, 0) for field in self))

    def take(self, index: Tensor | slice) -> World:
        return World(*(field[index] for field in self))


# ---------------------------------------------------------------------------------------------- tables

_COLOURS = (
    "zenith", "horizon", "cloud", "sun", "light", "shade", "ground0", "ground1", "ground2", "path0", "path1",
    "dots0", "dots1", "far0", "far1", "near0", "near1", "cap",
)  # fmt: skip
_VALUES = ("density", "sun_azimuth", "sun_slope", "cap_from", "plateau", "clouds", "fog", "dot_share")
_SHAPE = ("k", "yc", "r2", "y0", "y1", "box", "gable", "hx", "hz", "dx", "dz")
_SURFACE = (
    "red0",
    "green0",
    "blue0",
    "red1",
    "green1",
    "blue1",
    "mottle",
    "snow",
    "stripes",
    "house",
    "lamp",
)
_PART_WIDTH = len(_SHAPE) + len(_SURFACE)


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def _part_row(part: Part) -> list[float]:
    height = part.y1 - part.y0
    y0, y1 = part.y0, part.y1
    k, yc, r2 = 0.0, 0.0, part.r**2
    if part.shape == "ellipsoid":
        k, yc = (part.r / (height / 2)) ** 2, (y0 + y1) / 2
    elif part.shape == "cone":
        k, yc, r2 = -((part.r / height) ** 2), y1, 0.0
    box, gable = part.shape == "box", part.shape == "gable"
    shape = [k, yc, r2, y0, y1, box, gable, part.r, part.depth or part.r, *part.at]
    surface = [*_rgb(part.colour), *_rgb(part.second or part.colour)]
    return [*map(float, shape), *surface, part.mottle, part.snow, part.stripes, part.house, part.lamp]


def _theme_rows(theme: Theme) -> tuple[list, list, list, list, list]:
    colours = [theme.zenith, theme.horizon, theme.cloud, theme.sun, theme.light, theme.shade]
    colours += [*theme.ground, *theme.path, *theme.dots, *theme.far, *theme.near, theme.cap]
    values = [theme.density, math.radians(theme.sun_at[0]), theme.sun_at[1], theme.cap_from, theme.plateau]
    values += [theme.clouds, theme.fog, theme.dot_share]
    width = max(len(t.kinds) for t in THEMES)
    nothing = [0.0] * _PART_WIDTH
    nothing[_SHAPE.index("r2")] = -1.0
    kinds, parts, total, below = [], [], sum(kind.share for kind in theme.kinds), 0.0
    for kind in theme.kinds:
        below += kind.share / total
        reach = max(math.hypot(*p.at) + math.hypot(p.r, p.depth) for p in kind.parts)
        kinds.append([below, kind.solid, reach, *kind.size])
        if len(kind.parts) > PARTS or any(
            (p.shape == "gable") != (i == 1) for i, p in enumerate(kind.parts) if p.shape == "gable"
        ):
            raise ValueError(f"{theme.name}: an object has at most {PARTS} parts, and a gable comes second.")
        parts.append([_part_row(p) for p in kind.parts] + [nothing] * (PARTS - len(kind.parts)))
    kinds += [kinds[-1]] * (width - len(kinds))
    parts += [parts[-1]] * (width - len(parts))
    most = max(len(p) for t in THEMES for p in (t.far_peaks, t.near_peaks))
    peaks = [
        [[math.radians(p.azimuth), p.height, p.width] for p in layer]
        + [[0.0, 0.0, 1.0]] * (most - len(layer))
        for layer in (theme.far_peaks, theme.near_peaks)
    ]
    return [_rgb(c) for c in colours], values, kinds, parts, peaks


def make_world(seed: Tensor, theme: Tensor) -> World:
    """Places from seeds (integers in [0, 2^31)) and themes (indices into THEMES), both [B]."""
    rows = [_theme_rows(t) for t in THEMES]
    tables = [torch.tensor([row[i] for row in rows], device=seed.device)[theme] for i in range(5)]
    seed = seed.to(torch.int32)
    hashes = [_uniform(_mix(_mix(seed) + 77 + i)) for i in range(5)]
    angle = hashes[0] * 2 * math.pi
    path = torch.stack([angle.cos(), angle.sin(), *(h * 2 * math.pi for h in hashes[1:4])], 1)
    return World(seed, theme, path, *tables)


# ---------------------------------------------------------------------------------------------- hashes


def _mix(x: Tensor) -> Tensor:
    """A bijection of int32 that scatters its bits."""
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
    x = (x ^ ((x >> 15) & 0x1FFFF)) * -0x7B935975
    return x ^ ((x >> 16) & 0xFFFF)


def _uniform(h: Tensor, shift: int = 0) -> Tensor:
    """16 bits of a hash as a number in [0, 1]."""
    return ((h >> shift) & 0xFFFF).float() * (1 / 65535)


def _over(field: Tensor, like: Tensor) -> Tensor:
    """A per-place value [N] shaped to broadcast over `like` [N, ...]."""
    return field.view(-1, *[1] * (like.ndim - 1))


def _smooth(x: Tensor, low: float, high: float) -> Tensor:
    t = ((x - low) * (1 / (high - low))).clamp(0, 1)
    return t * t * (3 - 2 * t)


def path_distance(world: World, x: Tensor, z: Tensor) -> Tensor:
    """Distance from points [N, ...] to the middle of the nearest path."""
    cos, sin, a, b, c = (_over(world.path[:, i], x) for i in range(5))
    across, along = cos * x - sin * z, sin * x + cos * z
    bend = 2.0 * torch.sin(along * 0.16 + a) + 1.1 * torch.sin(along * 0.29 + b)
    offset = (across - bend + c * 3) * (1 / 22)
    return (offset - torch.floor(offset + 0.5)).abs() * 22


class Objects(NamedTuple):
    """What stands in some cells; tensors of one shape [N, ...]. `size` 0 means nothing does."""

    x: Tensor
    z: Tensor
    size: Tensor
    kind: Tensor  # int64
    solid: Tensor
    reach: Tensor
    cos: Tensor
    sin: Tensor
    tint: Tensor


def objects_at(world: World, ix: Tensor, iz: Tensor) -> Objects:
    """The objects of lattice cells, int32 [N, ...]: cell i spans [i, i + 1) times CELL."""
    h = _mix(ix * 0x1B873593 ^ _mix(iz * 0x27D4EB2F + _over(world.seed, iz)))
    g = _mix(h + 1)
    f = _mix(h + 2)
    x = (ix.float() + 0.5 + (_uniform(h) - 0.5) * 0.4) * CELL
    z = (iz.float() + 0.5 + (_uniform(h, 16) - 0.5) * 0.4) * CELL
    share = world.kinds[:, :, 0]
    u = _uniform(g)
    kind = (u.unsqueeze(-1) > share.view(share.shape[0], *[1] * (ix.ndim - 1), -1)[..., :-1]).sum(-1)
    rows = world.kinds.gather(1, kind.view(kind.shape[0], -1, 1).expand(-1, -1, 5)).view(*kind.shape, 5)
    _, solid, reach, least, greatest = rows.unbind(-1)
    size = least + (greatest - least) * _uniform(g, 16)
    clear = path_distance(world, x, z) > 1.1 + reach
    there = clear & (_uniform(f) < _over(world.values[:, 0], u))
    size = size * there
    angle = _uniform(f, 16) * (2 * math.pi)
    return Objects(x, z, size, kind, solid * size, reach * size, angle.cos(), angle.sin(), u)


# ---------------------------------------------------------------------------------------------- motion


def step(world: World, pose: Tensor, keyboard: Tensor, mouse: Tensor) -> Tensor:
    """The next pose [B, 4]; keyboard [B, 4] is forward, back, left, right, mouse [B, 2] pitch and yaw."""
    x, z, yaw, pitch = pose.unbind(-1)
    ahead, side = keyboard[:, 0] - keyboard[:, 1], keyboard[:, 3] - keyboard[:, 2]
    scale = SPEED / torch.sqrt(ahead**2 + side**2).clamp(min=1)
    sin, cos = yaw.sin(), yaw.cos()
    x, z = push_out(world, x + (ahead * sin + side * cos) * scale, z + (ahead * cos - side * sin) * scale)
    pitch = (pitch + mouse[:, 0] * TURN).clamp(-PITCH_LIMIT, PITCH_LIMIT)
    return torch.stack([x, z, yaw + mouse[:, 1] * TURN, pitch], -1)


def push_out(world: World, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Move points [B] out of what is solid, the short way; along a surface this makes the camera slide."""
    corner_x, corner_z = torch.floor(x / CELL - 0.5).int(), torch.floor(z / CELL - 0.5).int()
    near = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=torch.int32, device=x.device)
    there = objects_at(world, corner_x[:, None] + near[:, 0], corner_z[:, None] + near[:, 1])
    radius = (there.solid + CLEARANCE) * (there.size > 0)
    for _ in range(2):  # twice, for the notch between two objects
        away_x, away_z = x[:, None] - there.x, z[:, None] - there.z
        distance = torch.sqrt(away_x**2 + away_z**2).clamp(min=1e-3)
        push = (radius - distance).clamp(min=0) / distance
        x, z = x + (away_x * push).sum(1), z + (away_z * push).sum(1)
    return x, z


def integrate(world: World, start: Tensor, keyboard: Tensor, mouse: Tensor) -> Tensor:
    """Poses [B, T, 4] of clips that begin at `start` [B, 4] under actions [B, T, 4] and [B, T, 2]."""
    poses = [start]
    for frame in range(keyboard.shape[1] - 1):
        poses.append(step(world, poses[-1], keyboard[:, frame], mouse[:, frame]))
    return torch.stack(poses, 1)


# --------------------------------------------------------------------------------------------- drawing


def _noise(u: Tensor, v: Tensor, seed: Tensor, mask: Tensor) -> Tensor:
    """Value noise in [0, 1] on the unit lattice; `mask` wraps u's cells (a power of two less one, or -1)."""
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
    return torch.lerp(low, torch.lerp(corner(a0, b1), corner(a1, b1), u), v) * (1 / 65535)


def _columns(world: World, pose: Tensor, width: int) -> tuple[Tensor, ...]:
    """What each column of pixels meets, in the order of distance.

    Returns its azimuth [N, W], the cosine of its angle to the view's axis [W], the features of the parts it
    cuts [N, len(_FEATURES), SLOTS * PARTS, W], and per object the middle, squared offset and inverse squared
    radius of the shadow [N, 3, SLOTS, W].
    """
    x, z, yaw = (pose[:, i, None] for i in range(3))
    across = ((torch.arange(width, device=pose.device) + 0.5) * (2 / width) - 1) * HALF_VIEW
    azimuth = yaw + torch.atan(across)
    dx, dz = azimuth.sin(), azimuth.cos()

    # Walk the lattice along each column's direction.
    sx, sz = torch.where(dx < 0, -1.0, 1.0), torch.where(dz < 0, -1.0, 1.0)
    gx, gz = sx / dx.abs().clamp(min=1e-6) * sx, sz / dz.abs().clamp(min=1e-6) * sz
    cx, cz = torch.floor(x / CELL) + 0 * dx, torch.floor(z / CELL) + 0 * dz
    cells_x, cells_z = [], []
    tx, tz = ((cx + (sx + 1) / 2) * CELL - x) * sx * gx, ((cz + (sz + 1) / 2) * CELL - z) * sz * gz
    for _ in range(STEPS):
        cells_x.append(cx)
        cells_z.append(cz)
        first = (tx < tz).float()
        cx, cz = cx + sx * first, cz + sz * (1 - first)
        tx, tz = tx + CELL * gx * first, tz + CELL * gz * (1 - first)
    cells_x, cells_z = torch.stack(cells_x, 1).int(), torch.stack(cells_z, 1).int()

    # Keep the first objects whose width the column touches.
    there = objects_at(world, cells_x, cells_z)
    ox, oz = there.x - x[:, None], there.z - z[:, None]
    ahead, aside = ox * dx[:, None] + oz * dz[:, None], ox * dz[:, None] - oz * dx[:, None]
    met = (aside.abs() < there.reach * 1.1) & (ahead > -there.reach) & (ahead < VIEW)
    order = torch.arange(STEPS, device=pose.device).view(1, -1, 1)
    order = torch.where(met, order, order + STEPS).sort(1).values[:, :SLOTS]
    valid = order < STEPS
    order = order % STEPS
    cells_x, cells_z = cells_x.gather(1, order), cells_z.gather(1, order)
    there = objects_at(world, cells_x, cells_z)
    ox, oz = there.x - x[:, None], there.z - z[:, None]
    ahead = ox * dx[:, None] + oz * dz[:, None]
    size = there.size * valid * _smooth(torch.sqrt(ox**2 + oz**2), VIEW, NEAR_VIEW)

    # Cut every part of them by the column's plane.
    n, slots, w = size.shape
    kind = there.kind.view(n, -1, 1).expand(-1, -1, PARTS * _PART_WIDTH)
    part = world.parts.flatten(2).gather(1, kind).view(n, slots, w, PARTS, _PART_WIDTH)
    part = part.permute(4, 0, 1, 3, 2)  # features, N, slots, parts, W
    k, yc, r2, y0, y1, box, gable, hx, hz, px, pz = part[: len(_SHAPE)]
    surface = part[len(_SHAPE) :]
    big, cos, sin = size[:, :, None], there.cos[:, :, None], there.sin[:, :, None]
    ox, oz = ox[:, :, None], oz[:, :, None]
    dx, dz = dx[:, None, None], dz[:, None, None]
    ax, az = ox + big * (cos * px + sin * pz), oz + big * (cos * pz - sin * px)
    s0, b = ax * dx + az * dz, az * dx - ax * dz
    q = big**2 * r2 - b**2
    v1, v2 = dx * cos - dz * sin, dx * sin + dz * cos
    v1, v2 = v1 + (v1.abs() < 1e-5) * 2e-5, v2 + (v2.abs() < 1e-5) * 2e-5
    p1, p2 = az * sin - ax * cos, -(ax * sin + az * cos)
    p1, p2, v1, v2 = torch.broadcast_tensors(p1, p2, v1, v2)
    half1, half2 = (big * hx / v1).abs(), (big * hz / v2).abs()
    in1, in2 = -p1 / v1 - half1, -p2 / v2 - half2
    enter, leave = torch.maximum(in1, in2), torch.minimum(in1 + 2 * half1, in2 + 2 * half2)
    half = (leave - enter) / 2
    flat = box + gable
    face1 = (in1 > in2).float()
    n_along = -face1 * v1.abs() - (1 - face1) * v2.abs()
    n_side = (1 - face1) * v2.sign() * v1 - face1 * v1.sign() * v2
    s0 = torch.where(box > 0, (enter + leave) / 2, s0)
    q = torch.where(box > 0, half * half.abs(), q)
    q = torch.where((gable > 0) | (big <= 0), -1.0, q)
    tint = there.tint[:, :, None].expand_as(s0)
    features = torch.stack(
        [
            s0, q, k, yc * big, y0 * big, y1 * big, 1 - flat, n_along * flat,
            torch.where(flat > 0, n_side, b),
            p1, v1, p2, v2, gable, hx * big, hz * big, tint, *surface,
        ], 1,
    )  # fmt: skip

    # A soft dark disc under each object, a little away from the sun.
    sun = world.values[:, 1]
    shift = there.reach * 0.25
    hx, hz = ox[:, :, 0] - shift * _over(sun.sin(), shift), oz[:, :, 0] - shift * _over(sun.cos(), shift)
    dx, dz = dx[:, 0], dz[:, 0]
    inverse = (size > 0) / (there.reach * 1.05).clamp(min=1e-2)
    shadows = torch.stack([(hx * dx + hz * dz), (hx * dz - hz * dx) ** 2 * inverse**2, inverse**2], 1)
    return azimuth, 1 / torch.sqrt(1 + across**2), features.flatten(2, 3), shadows


_FEATURES = (
    "s0", "q", "k", "yc", "y0", "y1", "round", "n_along", "n_side", "p1", "v1", "p2", "v2", "gable",
    "hx", "hz", "tint", *_SURFACE,
)  # fmt: skip


def _skyline(peaks: Tensor, plateau: Tensor, azimuth: Tensor) -> tuple[Tensor, Tensor]:
    """The skyline's height per column and the offset from the axis of the peak that makes it, [N, W] each."""
    away = azimuth[:, None] - peaks[:, :, 0, None]
    away = away - torch.floor(away / (2 * math.pi) + 0.5) * (2 * math.pi)
    rise = peaks[:, :, 1, None] * ((1 - away.abs() / peaks[:, :, 2, None]) * plateau[:, None, None]).clamp(
        max=1
    )
    height, which = rise.max(1)
    return height, away.gather(1, which[:, None])[:, 0]


def render_frames(world: World, poses: Tensor, height: int, width: int) -> Tensor:
    """Pictures [N, 3, height, width] in [0, 1] of N poses [N, 4], each in its own place of `world` [N].

    Fixed shapes in, fixed shapes out: compile it with a constant N.
    """
    over = 2  # samples a pixel, each way
    h, w = height * over, width * over
    focal = width / 2 / HALF_VIEW  # pixels a unit of tangent
    device = poses.device
    azimuth, stretch, features, shadows = _columns(world, poses, w)
    feature = dict(zip(_FEATURES, features.unbind(1), strict=True))
    colour = {name: world.colours[:, i, :, None, None] for i, name in enumerate(_COLOURS)}
    value = {name: world.values[:, i, None, None] for i, name in enumerate(_VALUES)}

    # Slope of each ray per unit of ground distance, [N, H, W].
    up = (height / 2 - (torch.arange(h, device=device) + 0.5) / over) / focal
    m = (up + poses[:, 3, None].tan())[:, :, None] * stretch
    m = m + (m == 0) * 1e-6
    m2, inverse = m * m, 1 / m

    # The nearest surface: distance over the ground, its index in the five lowest bits.
    ground = (-EYE * inverse) + (m > 0) * 1e6
    ground = ground.clamp(max=400.0) + (m > 0) * 1e6
    nearest = (ground.view(torch.int32) & -32) | 31
    count = SLOTS * PARTS

    def nearer(nearest: Tensor, enter: Tensor, leave: Tensor, index: int) -> Tensor:
        # A miss (enter >= leave, up to the 1e-4 taken off) is pushed far behind everything.
        enter = torch.add(enter, (enter - leave).clamp(min=0), alpha=1e12).clamp(min=1e-3)
        return torch.minimum(nearest, (enter.view(torch.int32) & -32) | index)

    def column(name: str, index: int) -> Tensor:
        return feature[name][:, index, None]

    for i in range(count):
        s0, q, k, yc, y0, y1 = (column(f, i) for f in ("s0", "q", "k", "yc", "y0", "y1"))
        a = 1 + k * m2
        d = (EYE - yc) + m * s0
        kd = k * d
        over_a = 1 / a
        half = torch.sqrt((q * a - kd * d).clamp(min=0)) * over_a - 1e-4
        middle = s0 - kd * m * over_a
        low, high = (y0 - EYE) * inverse, (y1 - EYE) * inverse
        enter = torch.maximum(middle - half, torch.minimum(low, high))
        leave = torch.minimum(middle + half, torch.maximum(low, high))
        nearest = nearer(nearest, enter, leave, i)
    for i in range(1, count, PARTS):  # a roof: two sloping planes, a floor, and upright ends
        p1, v1, p2, v2, hx, hz, y0, y1 = (
            column(f, i) for f in ("p1", "v1", "p2", "v2", "hx", "hz", "y0", "y1")
        )
        span, rise = 1 / hz.clamp(min=1e-3), 1 / (y1 - y0).clamp(min=1e-3)
        half1 = hx / v1.abs() - (column("gable", i) < 0.5) * 1e4
        enter, leave = -p1 / v1 - half1, -p1 / v1 + half1
        low, high = (y0 - EYE) * inverse, (y1 - EYE) * inverse
        enter = torch.maximum(enter, torch.minimum(low, high))
        leave = torch.minimum(leave, torch.maximum(low, high)) - 2e-4
        for side in (-1, 1):
            a = side * p2 * span + (EYE - y0) * rise - 1
            b = side * v2 * span + m * rise
            b = b + (b == 0) * 1e-6
            at, sign = -a / b, b.sign() * 1e6
            enter = torch.maximum(enter, at - 1e6 - sign)
            leave = torch.minimum(leave, at + 1e6 - sign)
        nearest = nearer(nearest, enter, leave, i)

    index = (nearest & 31).long()
    s = (nearest & -32).view(torch.float32)
    is_object = (index < count).float()
    is_sky = (s > 1e4).float()
    is_ground = 1 - is_object - is_sky
    index = index.clamp(max=count - 1)
    s = s.clamp(max=400.0)
    y = EYE + m * s

    def at(name: str) -> Tensor:
        return feature[name].gather(1, index)

    # The object's surface: normal along the ray, aside and up, then in the object's own frame.
    s0, k, yc, y0, y1, round_, gable = (at(f) for f in ("s0", "k", "yc", "y0", "y1", "round", "gable"))
    p1, v1, p2, v2, hz = (at(f) for f in ("p1", "v1", "p2", "v2", "hz"))
    l1, l2 = p1 + v1 * s, p2 + v2 * s
    n_along, n_side, n_up = at("n_along") + round_ * (s - s0), at("n_side"), k * (y - yc)
    top, bottom = ((y1 - y).abs() < 2e-3).float(), ((y - y0).abs() < 2e-3).float()
    top = top * (1 - gable)
    slope = gable * (l2.abs() / hz.clamp(min=1e-3) + (y - y0) / (y1 - y0).clamp(min=1e-3) > 0.99)
    gable_end = gable * (1 - slope)
    side = l2.sign() * (y1 - y0)
    upright = 1 - torch.maximum(slope, torch.maximum(top, bottom) * (1 - gable_end))
    n1, n2 = n_along * v1 + n_side * v2, n_along * v2 - n_side * v1
    n1 = n1 * upright * (1 - gable_end) - gable_end * v1.sign()
    n2 = n2 * upright * (1 - gable_end) + slope * side
    n_up = n_up * upright * (1 - gable_end) + slope * hz + top - bottom * (1 - slope) * (1 - gable_end)
    n_along, n_side = n1 * v1 + n2 * v2, n1 * v2 - n2 * v1
    scale = torch.rsqrt(n_along**2 + n_side**2 + n_up**2 + 1e-12)
    n_up = n_up * scale
    toward = value["sun_azimuth"] - azimuth[:, None]
    level = torch.rsqrt(1 + value["sun_slope"] ** 2)
    lit = (n_along * toward.cos() + n_side * toward.sin()) * level * scale + n_up * level * value["sun_slope"]

    # One evaluation of noise serves the ground, the objects' surfaces and the clouds.
    dx, dz = azimuth.sin()[:, None], azimuth.cos()[:, None]
    x, z = poses[:, 0, None, None] + dx * s, poses[:, 1, None, None] + dz * s
    grain = 1.7 * is_object + 0.42 * is_ground
    flat_up, flat_2 = (n_up.abs() > 0.75).float(), (n2.abs() > n1.abs()).float()
    tint = at("tint")
    u = torch.lerp(l2, l1, torch.maximum(flat_2, flat_up)) + tint * 61
    v = torch.lerp(y, l2, flat_up) + tint * 17
    u = is_object * u + is_ground * x
    v = is_object * v + is_ground * z
    sky_u = (azimuth * (32 / (2 * math.pi)))[:, None]
    u = u * grain + is_sky * sky_u
    v = v * grain + is_sky * (m * 13.0)
    seed = torch.where(is_sky > 0, world.theme.int()[:, None, None] * 7919 + 5, world.seed[:, None, None])
    mask = torch.where(is_sky > 0, 31, -1).int()
    coarse = _noise(u, v, seed, mask)
    fine = _noise(2 * u + 0.37, 2 * v + 0.71, seed + 1013, mask * 2 + 1)
    # Detail finer than a pixel fades out; on the ground a pixel grows with the square of distance.
    step_ = grain * s * (is_object + is_ground * s.clamp(max=100.0)) * (1 / focal)
    coarse = (coarse - 0.5) * (1.5 - 1.6 * step_).clamp(0, 1)
    fine = (fine - 0.5) * (1.5 - 3.2 * step_).clamp(0, 1)
    both = coarse * 1.2 + fine * 0.8

    def blend(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
        return a + (b - a) * t[:, None]

    # Sky.
    haze = colour["horizon"]
    sky = blend(haze, colour["zenith"], _smooth(m, -0.05, 0.75))
    from_sun = toward - torch.floor(toward / (2 * math.pi) + 0.5) * (2 * math.pi)
    from_sun = torch.sqrt(from_sun**2 + (m - value["sun_slope"]) ** 2)
    sky = blend(sky, colour["sun"], 0.55 * torch.exp(-from_sun * 4.5))
    cloud = _smooth(both + (value["clouds"] - 0.5) * 0.5 - (m - 0.32).abs() * 0.35, 0.0, 0.22) * (m > 0)
    sky = blend(sky, colour["cloud"], cloud * (0.9 - 0.35 * _smooth(-fine, -0.3, 0.3)))
    sky = blend(sky, colour["sun"] * 1.05, _smooth(from_sun, 0.085, 0.07))
    for layer, name in enumerate(("far", "near")):
        top_, away = _skyline(world.peaks[:, layer], world.values[:, 4], azimuth)
        top_, away = top_[:, None], away[:, None]
        sun_side = torch.sin(value["sun_azimuth"] - azimuth[:, None]).sign()
        ridge = away + 0.16 * (top_ - m) * torch.sin(azimuth * 23)[:, None] + fine * 0.04
        shaded = _smooth(ridge * sun_side, -0.004, 0.004)
        rock = blend(colour[name + "1"], colour[name + "0"], shaded)
        snow = _smooth(m - value["cap_from"] - fine * 0.09, -0.004, 0.004) * (1 - layer)
        strata = (
            (value["cap_from"] > 1).float()
            * 0.45
            * _smooth(torch.sin(m * 150 + azimuth[:, None] * 3), -0.3, 0.3)
        )
        rock = blend(rock, colour["cap"] * (0.8 + 0.2 * shaded[:, None]), torch.maximum(snow, strata))
        rock = blend(rock, haze, (0.75 - m / top_.clamp(min=1e-3)).clamp(0, 1) * 0.6)
        sky = blend(sky, rock, _smooth(m - top_, 0.003, -0.003))

    # Ground: painted patches, a path, flowers or pebbles, soft shadows.
    patch, spot = _smooth(coarse + 0.3 * fine, -0.07, 0.07), _smooth(both, 0.16, 0.30)
    land = blend(blend(colour["ground0"], colour["ground1"], patch), colour["ground2"], spot)
    footprint = s * s * (1 / focal)
    way = path_distance(world, x, z) + fine * 0.35
    edge = 0.08 + footprint * 0.25
    on_path = ((1.0 - way) / edge + 0.5).clamp(0, 1)
    land = blend(land, blend(colour["path1"], colour["path0"], _smooth(coarse + fine, -0.15, 0.15)), on_path)
    fx, fz = torch.floor(x * 1.25), torch.floor(z * 1.25)
    hash_ = _mix(fx.int() * 0x1B873593 ^ (fz.int() * 0x27D4EB2F + world.seed[:, None, None] + 3))
    near_x = x * 1.25 - fx - 0.25 - 0.5 * _uniform(hash_)
    near_z = z * 1.25 - fz - 0.25 - 0.5 * _uniform(hash_ >> 8, 8)
    radius = 0.10 + 0.10 * _uniform(hash_, 9)
    there = (_uniform(hash_, 3) < value["dot_share"]).float() * (1 - on_path)
    soft = 0.04 + footprint * 0.6
    dot = ((radius - torch.sqrt(near_x**2 + near_z**2)) / soft + 0.5).clamp(0, 1) * (
        1.4 - 5 * footprint
    ).clamp(0, 1)
    land = blend(
        land, blend(colour["dots0"], colour["dots1"], (_uniform(hash_, 5) > 0.5).float()), dot * there
    )
    dark = torch.zeros_like(s)
    for i in range(SLOTS):
        middle, side2, weight = (shadows[:, f, i, None] for f in range(3))
        dark = torch.maximum(dark, (1 - side2 - (s - middle) ** 2 * weight) * (weight > 0))
    dark = _smooth(dark, 0.0, 0.6)
    land = land * (1 - 0.62 * dark[:, None] * (1 - colour["shade"] * 0.8))

    # Objects: two tones, stripes, snow, doors and windows, then light.
    def tone(i: int) -> Tensor:
        return torch.stack([at(f"{c}{i}") for c in ("red", "green", "blue")], 1)

    fade = (1.5 - 1.6 * step_).clamp(0, 1)
    stripes = at("stripes")
    band = (
        torch.sin(y * stripes * (2 * math.pi) + coarse * 2.0)
        * (stripes > 0)
        * (1.4 - stripes * s / focal * 2).clamp(0, 1)
    )
    mottle = at("mottle") * _smooth(both + band * 0.25 - 0.18 * n_up, -0.16, 0.16) * (0.4 + 0.6 * fade)
    thing = blend(tone(0), tone(1), mottle) * (0.93 + 0.14 * tint[:, None])
    snow = _smooth(
        at("snow") * 1.3 - 1.0 + n_up + fine * 0.9 + 0.35 * (y - y0) / (y1 - y0).clamp(min=0.1), 0.18, 0.34
    )
    thing = blend(thing, torch.ones_like(thing) * 0.98, snow * (at("snow") > 0))
    # Doors on one side, windows on the other three; in units of the house's half width and height.
    across_, high_ = torch.lerp(l1, l2, 1 - flat_2) / hz.clamp(min=1e-2), (y - y0) / (y1 - y0).clamp(min=0.1)
    door_side = (1 - flat_2) * (n1 > 0)
    house = at("house") * (n_up.abs() < 0.5)
    crisp = 0.02 + s * (1.2 / focal)

    def panel(half_width: float, centre: float, low: float, high: float, offset: Tensor) -> Tensor:
        inside = torch.minimum(half_width - (offset - centre).abs(), torch.minimum(high_ - low, high - high_))
        return (inside / crisp + 0.5).clamp(0, 1)

    door = panel(0.24, 0.0, -1.0, 0.64, across_) * door_side * house
    frame = panel(0.27, 0.5, 0.30, 0.80, across_.abs()) * (1 - door_side) * house
    glass = panel(0.18, 0.5, 0.38, 0.72, across_.abs()) * (1 - door_side) * house
    lamp = at("lamp")
    thing = blend(thing, thing * 0.42, torch.maximum(door, frame * 0.75))
    pane = torch.stack([0.45 + 0.55 * lamp, 0.68 + 0.16 * lamp, 0.88 - 0.42 * lamp], 1)
    thing = thing * (1 - glass[:, None]) + pane * glass[:, None]
    sunlit = _smooth(lit + 0.15 * both, -0.25, 0.75)
    sunlit = torch.maximum(sunlit, glass * lamp)
    ambient = 0.82 + 0.18 * n_up
    foot = 0.78 + 0.22 * _smooth(y, -0.05, 0.7)
    light = blend(colour["shade"] * ambient[:, None], colour["light"] * 1.04, sunlit)
    thing = thing * light * foot[:, None]

    # All together, through the air.
    picture = land * is_ground[:, None] + thing * is_object[:, None]
    air = 1 - torch.exp(-((s / value["fog"]) ** 2))
    picture = blend(picture, haze, air * (1 - is_sky)) * (1 - is_sky[:, None]) + sky * is_sky[:, None]
    return F.avg_pool2d(picture.clamp(0, 1), over)


def render(
    world: World, poses: Tensor, height: int, width: int, *, chunk: int | None = None, frames=None
) -> Tensor:
    """Clips uint8 [B, T, 3, height, width] of poses [B, T, 4].

    Pictures are drawn `chunk` at a time (default 32 on a GPU, 1 on a CPU), always exactly so many, by
    `frames`, which may be a compiled `render_frames`.
    """
    frames = frames or render_frames
    chunk = chunk or (1 if poses.device.type == "cpu" else 32)
    batch, length = poses.shape[:2]
    flat = poses.reshape(-1, 4)
    owner = torch.arange(batch, device=poses.device).repeat_interleave(length)
    out = torch.empty(batch * length, 3, height, width, dtype=torch.uint8, device=poses.device)
    for first in range(0, batch * length, chunk):
        index = torch.arange(first, first + chunk, device=poses.device).clamp(max=batch * length - 1)
        piece = frames(world.take(owner[index]), flat[index], height, width)
        count = min(chunk, batch * length - first)
        out[first : first + count] = (piece[:count] * 255).round().to(torch.uint8)
    return out.view(batch, length, 3, height, width)


# -------------------------------------------------------------------------------------------- sampling


def _draw(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator)


def sample_worlds(
    batch: int, generator: torch.Generator, *, held_out: bool = False, themes: tuple[str, ...] | None = None
) -> World:
    """Random places on the CPU, of the named themes (default all), never of the other side of the split."""
    names = [theme.name for theme in THEMES]
    if unknown := set(themes or ()) - set(names):
        raise ValueError(f"No theme is called {sorted(unknown)[0]!r}; there are {', '.join(names)}.")
    chosen = torch.tensor([names.index(name) for name in themes or names])
    seed = torch.randint(0, 2**31 // HELD_OUT, (batch,), generator=generator) * HELD_OUT
    if not held_out:
        seed += torch.randint(1, HELD_OUT, (batch,), generator=generator)
    return make_world(seed, chosen[torch.randint(0, len(chosen), (batch,), generator=generator)])


def is_held_out(seed: Tensor) -> Tensor:
    """Whether places of these seeds are kept from training."""
    return seed % HELD_OUT == 0


def sample_start(world: World, generator: torch.Generator, *, candidates: int = 12) -> Tensor:
    """A start pose [B, 4] per place: on free ground, level, with things to see and none in the way.

    Draws on the generator's device (the CPU) and returns poses on the world's.
    """
    device, batch = world.seed.device, world.seed.shape[0]
    many = world.repeat(candidates)
    spot = ((_draw(generator, batch * candidates, 3) - 0.5) * torch.tensor([800.0, 800.0, 2 * math.pi])).to(
        device
    )
    x, z = push_out(many, spot[:, 0], spot[:, 1])
    yaw = spot[:, 2]
    span = torch.arange(-4, 5, dtype=torch.int32, device=device)
    ix = torch.floor(x / CELL).int()[:, None] + span.repeat(9)
    iz = torch.floor(z / CELL).int()[:, None] + span.repeat_interleave(9)
    there = objects_at(many, ix, iz)
    away_x, away_z = there.x - x[:, None], there.z - z[:, None]
    distance = torch.sqrt(away_x**2 + away_z**2)
    ahead = away_x * yaw.sin()[:, None] + away_z * yaw.cos()[:, None]
    aside = away_x * yaw.cos()[:, None] - away_z * yaw.sin()[:, None]
    seen = (there.size > 0) & (ahead > aside.abs() * 1.4)
    good = (seen & (distance > 4) & (distance < 14)).float() * (1 - (distance - 8).abs() / 12)
    blocked = (seen & (distance < 4)) | ((there.size > 0) & (distance < there.solid + CLEARANCE + 0.3))
    path = (1.5 - path_distance(many, x + 4 * yaw.sin(), z + 4 * yaw.cos())).clamp(0, 1)
    score = good.sum(1).clamp(max=3) + path + 0.5 * _draw(generator, batch * candidates).to(device)
    best = (score - 4 * blocked.float().sum(1)).view(batch, candidates).argmax(1)
    index = best + torch.arange(batch, device=device) * candidates
    return torch.stack([x, z, yaw, torch.zeros_like(x)], 1)[index]


# Shares of what is held for a stretch: (keyboard, mouse, share).
_MOVES = {"W": (1, 0, 0, 0), "S": (0, 1, 0, 0), "A": (0, 0, 1, 0), "D": (0, 0, 0, 1), "": (0, 0, 0, 0)}
_MOVES |= {"WA": (1, 0, 1, 0), "WD": (1, 0, 0, 1), "SA": (0, 1, 1, 0), "SD": (0, 1, 0, 1)}
_LOOKS = {"": (0, 0), "left": (0, -1), "right": (0, 1), "up": (1, 0), "down": (-1, 0)}
_LOOKS |= {"up left": (1, -1), "up right": (1, 1), "down left": (-1, -1), "down right": (-1, 1)}
_SHARES = {
    ("", ""): 15, ("W", ""): 15, ("S", ""): 8, ("A", ""): 8, ("D", ""): 8, ("", "left"): 8, ("", "right"): 8,
    ("", "up"): 3, ("", "down"): 3, ("W", "left"): 5, ("W", "right"): 5, ("WA", ""): 1.5, ("WD", ""): 1.5,
    ("SA", ""): 0.7, ("SD", ""): 0.7, ("A", "right"): 1.3, ("D", "left"): 1.3, ("A", "left"): 1.3,
    ("D", "right"): 1.3, ("S", "left"): 1, ("S", "right"): 1, ("W", "up"): 1, ("W", "down"): 1,
}  # fmt: skip
_RARE = 4.0  # shared by all other pairs


def sample_actions(batch: int, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Random plays: keyboard [B, T, 4] and mouse [B, T, 2] on the CPU, controls held for 4 to 36 frames.

    In 70 % of the clips the controls change only where a block begins (frames 9, 21, 33 and so on).
    """
    pairs = [(move, look) for move in _MOVES for look in _LOOKS]
    rare = _RARE / (len(pairs) - len(_SHARES))
    shares = torch.tensor([_SHARES.get(pair, rare) for pair in pairs])
    stretches = frames // 4 + 2
    choice = torch.multinomial(shares, batch * stretches, replacement=True, generator=generator)
    length = torch.randint(4, 37, (batch, stretches), generator=generator)
    blocks = torch.randint(1, 4, (batch, stretches), generator=generator) * 12
    blocks[:, 0] -= 3
    length = torch.where(_draw(generator, batch, 1) < 0.7, blocks, length)
    stretch = torch.searchsorted(length.cumsum(1), torch.arange(frames).repeat(batch, 1), right=True)
    held = choice.view(batch, stretches).gather(1, stretch)
    keyboard = torch.tensor([_MOVES[move] for move, _ in pairs], dtype=torch.float32)
    mouse = torch.tensor([_LOOKS[look] for _, look in pairs], dtype=torch.float32) * 0.1
    return keyboard[held], mouse[held]


# -------------------------------------------------------------------------------------------- pictures


def contact_sheet(path: str, *, columns: int = 6, seed: int = 0) -> None:
    """A PNG of start views, one theme a row, from held-out places."""
    from PIL import Image

    generator = torch.Generator().manual_seed(seed)
    sheet = Image.new("RGB", (columns * 258 - 2, len(THEMES) * 146 - 2), "white")
    for row, theme in enumerate(THEMES):
        world = sample_worlds(columns, generator, held_out=True, themes=(theme.name,))
        frames = render(world, sample_start(world, generator)[:, None], 144, 256)[:, 0]
        for column, frame in enumerate(frames):
            sheet.paste(Image.fromarray(frame.permute(1, 2, 0).numpy()), (column * 258, row * 146))
    sheet.save(path)


def start_images(folder: str, count: int, *, height: int = 144, width: int = 256, seed: int = 0) -> None:
    """Write `count` start pictures from held-out places, and `starts.json`: their seeds, themes and poses."""
    from PIL import Image

    generator = torch.Generator().manual_seed(seed)
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(count):
        theme = THEMES[i % len(THEMES)].name
        world = sample_worlds(1, generator, held_out=True, themes=(theme,))
        pose = sample_start(world, generator)
        name = f"{theme}-{i // len(THEMES) + 1}.png"
        Image.fromarray(render(world, pose[:, None], height, width)[0, 0].permute(1, 2, 0).numpy()).save(
            out / name
        )
        rows.append({"image": name, "seed": int(world.seed), "theme": theme, "pose": pose[0].tolist()})
    (out / "starts.json").write_text(json.dumps(rows, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m training.renderer", description="Draw the procedural world."
    )
    parser.add_argument("--contact-sheet", metavar="PNG", help="start views of every theme")
    parser.add_argument("--start-images", metavar="DIR", help="start pictures and starts.json")
    parser.add_argument("--count", type=int, default=8, help="how many start pictures")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not (args.contact_sheet or args.start_images):
        parser.error("say --contact-sheet PNG or --start-images DIR")
    with torch.no_grad():
        if args.contact_sheet:
            contact_sheet(args.contact_sheet, seed=args.seed)
        if args.start_images:
            start_images(args.start_images, args.count, seed=args.seed)


if __name__ == "__main__":
    main()
