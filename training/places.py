"""Places of the procedural world: what stands where, from integer hashes of (seed, position) alone.

A place is endless and addressed by (seed, theme, position), the same at any time and on any device. Objects
stand on a square lattice, at most one a cell and wholly inside it, clear of the winding paths.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from training.themes import PARTS, THEMES, Part, Theme

CELL = 5.5  # side of the lattice's cells
JITTER = 0.32  # of the cell: how far from its middle an object may stand, there and back
HELD_OUT = 8  # seeds divisible by this are never trained on


class World(NamedTuple):
    """A batch of B places. Made by `make_world`; every field is indexed by place first."""

    seed: Tensor  # int32 [B]
    theme: Tensor  # int64 [B], index into THEMES
    path: Tensor  # [B, 5]: where the paths run
    colours: Tensor  # [B, len(COLOURS), 3]
    values: Tensor  # [B, len(VALUES)]
    kinds: Tensor  # [B, kinds, 5]: cumulated share, solid radius, reach, least and greatest size
    parts: Tensor  # [B, kinds, PARTS, PART_WIDTH]
    peaks: Tensor  # [B, 2, peaks, 3]: far and near skyline; azimuth, height, half width

    def to(self, device: torch.device | str) -> World:
        return World(*(field.to(device) for field in self))

    def repeat(self, frames: int) -> World:
        """Each place `frames` times over, for as many poses of it."""
        return World(*(field.repeat_interleave(frames, 0) for field in self))

    def take(self, index: Tensor | slice) -> World:
        return World(*(field[index] for field in self))


COLOURS = (
    "zenith", "horizon", "cloud", "sun", "light", "shade", "ground0", "ground1", "ground2", "path0", "path1",
    "dots0", "dots1", "far0", "far1", "near0", "near1", "cap",
)  # fmt: skip
VALUES = ("density", "sun_azimuth", "sun_slope", "cap_from", "plateau", "clouds", "fog", "dot_share")
SHAPE = ("k", "yc", "r2", "y0", "y1", "box", "gable", "hx", "hz", "dx", "dz")
SURFACE = (
    "red0", "green0", "blue0", "red1", "green1", "blue1", "mottle", "snow", "stripes", "house", "lamp",
    "facets",
)  # fmt: skip
PART_WIDTH = len(SHAPE) + len(SURFACE)


def _rgb(colour: str) -> list[float]:
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def _part_row(part: Part) -> list[float]:
    height = part.y1 - part.y0
    y0, y1 = part.y0, part.y1
    k, yc, r2 = 0.0, 0.0, part.r**2
    if part.shape == "ellipsoid":
        k, yc = (part.r / (height / 2)) ** 2, (y0 + y1) / 2
        y0 = y0 if part.cut is None else part.cut
    elif part.shape == "cone":
        k, yc, r2 = -((part.r / height) ** 2), y1, 0.0
    box, gable = part.shape == "box", part.shape == "gable"
    shape = [k, yc, r2, y0, y1, box, gable, part.r, part.depth or part.r, *part.at]
    surface = [*_rgb(part.colour), *_rgb(part.second or part.colour)]
    return [
        *map(float, shape),
        *surface,
        part.mottle,
        part.snow,
        part.stripes,
        part.house,
        part.lamp,
        part.facets,
    ]


def _theme_rows(theme: Theme) -> tuple[list, list, list, list, list]:
    colours = [theme.zenith, theme.horizon, theme.cloud, theme.sun, theme.light, theme.shade]
    colours += [*theme.ground, *theme.path, *theme.dots, *theme.far, *theme.near, theme.cap]
    values = [theme.density, math.radians(theme.sun_at[0]), theme.sun_at[1], theme.cap_from, theme.plateau]
    values += [theme.clouds, theme.fog, theme.dot_share]
    width = max(len(t.kinds) for t in THEMES)
    nothing = [0.0] * PART_WIDTH
    nothing[SHAPE.index("r2")] = -1.0
    kinds, parts, total, below = [], [], sum(kind.share for kind in theme.kinds), 0.0
    for kind in theme.kinds:
        below += kind.share / total
        reach = max(math.hypot(*p.at) + math.hypot(p.r, p.depth) for p in kind.parts)
        kinds.append([below, kind.solid, reach, *kind.size])
        gables = {i for i, part in enumerate(kind.parts) if part.shape == "gable"}
        if len(kind.parts) > PARTS or gables - {1} or reach * kind.size[1] > CELL * (1 - JITTER) / 2:
            raise ValueError(
                f"{theme.name}: an object has at most {PARTS} parts, a gable second, and fits its cell."
            )
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


def is_held_out(seed: Tensor) -> Tensor:
    """Whether places of these seeds are kept from training."""
    return seed % HELD_OUT == 0


def make_world(seed: Tensor, theme: Tensor) -> World:
    """Places from seeds (integers in [0, 2^31)) and themes (indices into THEMES), both [B]."""
    rows = [_theme_rows(t) for t in THEMES]
    tables = [torch.tensor([row[i] for row in rows], device=seed.device)[theme] for i in range(5)]
    seed = seed.to(torch.int32)
    hashes = [uniform(mix(mix(seed) + 77 + i)) for i in range(5)]
    angle = hashes[0] * 2 * math.pi
    path = torch.stack([angle.cos(), angle.sin(), *(h * 2 * math.pi for h in hashes[1:4])], 1)
    return World(seed, theme, path, *tables)


def mix(x: Tensor) -> Tensor:
    """A bijection of int32 that scatters its bits."""
    x = (x ^ ((x >> 16) & 0xFFFF)) * 0x7FEB352D
    x = (x ^ ((x >> 15) & 0x1FFFF)) * -0x7B935975
    return x ^ ((x >> 16) & 0xFFFF)


def uniform(h: Tensor, shift: int = 0) -> Tensor:
    """16 bits of a hash as a number in [0, 1]."""
    return ((h >> shift) & 0xFFFF).float() * (1 / 65535)


def over(field: Tensor, like: Tensor) -> Tensor:
    """A per-place value [N] shaped to broadcast over `like` [N, ...]."""
    return field.view(-1, *[1] * (like.ndim - 1))


def smooth(x: Tensor, low: float, high: float) -> Tensor:
    t = ((x - low) * (1 / (high - low))).clamp(0, 1)
    return t * t * (3 - 2 * t)


def path_distance(world: World, x: Tensor, z: Tensor) -> Tensor:
    """Distance from points [N, ...] to the middle of the nearest path."""
    cos, sin, a, b, c = (over(world.path[:, i], x) for i in range(5))
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
    h = mix(ix * 0x1B873593 ^ mix(iz * 0x27D4EB2F + over(world.seed, iz)))
    g = mix(h + 1)
    f = mix(h + 2)
    x = (ix.float() + 0.5 + (uniform(h) - 0.5) * JITTER) * CELL
    z = (iz.float() + 0.5 + (uniform(h, 16) - 0.5) * JITTER) * CELL
    share = world.kinds[:, :, 0]
    u = uniform(g)
    kind = (u.unsqueeze(-1) > share.view(share.shape[0], *[1] * (ix.ndim - 1), -1)[..., :-1]).sum(-1)
    rows = world.kinds.gather(1, kind.view(kind.shape[0], -1, 1).expand(-1, -1, 5)).view(*kind.shape, 5)
    _, solid, reach, least, greatest = rows.unbind(-1)
    size = least + (greatest - least) * uniform(g, 16)
    clear = path_distance(world, x, z) > 1.1 + reach
    there = clear & (uniform(f) < over(world.values[:, 0], u))
    size = size * there
    angle = uniform(f, 16) * (2 * math.pi)
    return Objects(x, z, size, kind, solid * size, reach * size, angle.cos(), angle.sin(), u)
