"""Places of the procedural worlds: what stands where, from integer hashes of (seed, position) alone.

A place is endless and addressed by (mode, seed, theme, position), the same at any time and on any device.
Objects stand on a square lattice, at most one per cell and entirely inside it. What is kept clear differs:

- universal: winding paths;
- gta_drive: at regular cells in both directions a road, half of it to either side of its middle;
- templerun: nothing. There the renderer lowers whatever is in the way of the causeway, which rises out of
  the sea wherever one runs, with things of its own along it (`row_at`).
"""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from training.shapes import PARTS, Part, Theme
from training.themes import THEMES

CELL = 5.5  # side of the lattice's cells
JITTER = {
    "universal": 0.32,
    "gta_drive": 0.1,
    "templerun": 0.32,
}  # of the cell: how far off its middle, in all
HELD_OUT = 8  # seeds divisible by this are never trained on
ROW = 4.6  # units along a causeway from one pair of things to the next
CAUSEWAY = 1.3  # half its width
EDGE = CAUSEWAY + 0.55  # where things stand beside it


class World(NamedTuple):
    """A batch of B places of one mode. Made by `make_world`; every tensor is indexed by place first."""

    mode: str
    seed: Tensor  # int32 [B]
    theme: Tensor  # int64 [B], index into THEMES[mode]
    path: Tensor  # [B, 5]: where the paths run
    colors: Tensor  # [B, len(COLORS), 3]
    values: Tensor  # [B, len(VALUES)]
    kinds: Tensor  # [B, kinds, len(KIND)]
    parts: Tensor  # [B, kinds, PARTS, PART_WIDTH]
    peaks: Tensor  # [B, 2, peaks, 3]: far and near skyline; azimuth, height, half width

    def to(self, device: torch.device | str) -> World:
        return World(self.mode, *(field.to(device) for field in self[1:]))

    def repeat(self, frames: int) -> World:
        """Each place `frames` times over, for as many poses of it."""
        return World(self.mode, *(field.repeat_interleave(frames, 0) for field in self[1:]))

    def take(self, index: Tensor | slice) -> World:
        return World(self.mode, *(field[index] for field in self[1:]))


def join(worlds: list[World]) -> World:
    """One batch of all the places of some batches, which are of one mode."""
    return World(worlds[0].mode, *(torch.cat(fields) for fields in list(zip(*worlds, strict=True))[1:]))


COLORS = (
    "zenith", "horizon", "cloud", "sun", "light", "shade", "ground0", "ground1", "ground2", "path0", "path1",
    "dots0", "dots1", "far0", "far1", "near0", "near1", "cap", "stone0", "stone1",
)  # fmt: skip
VALUES = (
    "density", "sun_azimuth", "sun_slope", "cap_from", "plateau", "clouds", "fog", "dot_share", "streets",
    "night",
)  # fmt: skip
KIND = ("below0", "below1", "solid", "reach", "least", "greatest", "spans")  # cumulated shares of both pools
SHAPE = ("k", "yc", "r2", "y0", "y1", "box", "gable", "hx", "hz", "dx", "dz")
SURFACE = (
    "red0", "green0", "blue0", "red1", "green1", "blue1", "mottle", "snow", "stripes", "house", "lamp",
    "facets", "boards", "panes", "glow",
)  # fmt: skip
PART_WIDTH = len(SHAPE) + len(SURFACE)


def _rgb(color: str) -> list[float]:
    return [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]


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
    surface = [*_rgb(part.color), *_rgb(part.second or part.color)]
    surface += [
        part.mottle,
        part.snow,
        part.stripes,
        part.house,
        part.lamp,
        part.facets,
        part.boards,
        part.panes,
        part.glow,
    ]
    return [*map(float, shape), *surface]


def _reach(part: Part) -> float:
    corner = part.shape in ("box", "gable")
    return math.hypot(*part.at) + (math.hypot(part.r, part.depth or part.r) if corner else part.r)


def _theme_rows(mode: str, theme: Theme) -> tuple[list, list, list, list, list]:
    colors = [theme.zenith, theme.horizon, theme.cloud, theme.sun, theme.light, theme.shade]
    colors += [*theme.ground, *theme.path, *theme.dots, *theme.far, *theme.near, theme.cap, *theme.stone]
    values = [theme.density, math.radians(theme.sun_at[0]), theme.sun_at[1], theme.cap_from, theme.plateau]
    values += [theme.clouds, theme.fog, theme.dot_share, theme.streets, theme.night]
    width = max(len(t.kinds) for t in THEMES[mode])
    nothing = [0.0] * PART_WIDTH
    nothing[SHAPE.index("r2")] = -1.0
    total = [sum(kind.share for kind in theme.kinds if kind.pool == pool) or 1.0 for pool in (0, 1)]
    kinds, parts, below = [], [], [0.0, 0.0]
    for kind in theme.kinds:  # those of pool 0 come first
        below[kind.pool] += kind.share / total[kind.pool]
        reach = max(map(_reach, kind.parts))
        kinds.append([below[0], below[1] or -1.0, kind.solid, reach, *kind.size, kind.spans])
        gables = {i for i, part in enumerate(kind.parts) if part.shape == "gable"}
        # In a town everything is square with the lattice; what stands along a causeway has no cell.
        least = max(map(_half, kind.parts)) if mode == "gta_drive" else reach
        room = math.inf if mode == "templerun" and kind.pool else CELL * (1 - JITTER[mode]) / 2
        if len(kind.parts) > PARTS or gables - {1} or least * kind.size[1] > room:
            raise ValueError(
                f"{theme.name}: an object has at most {PARTS} parts, a gable second, and fits its cell."
            )
        parts.append([_part_row(p) for p in kind.parts] + [nothing] * (PARTS - len(kind.parts)))
    kinds += [kinds[-1]] * (width - len(kinds))
    parts += [parts[-1]] * (width - len(parts))
    most = max(len(p) for t in THEMES[mode] for p in (t.far_peaks, t.near_peaks))
    peaks = [
        [[math.radians(p.azimuth), p.height, p.width] for p in layer]
        + [[0.0, 0.0, 1.0]] * (most - len(layer))
        for layer in (theme.far_peaks, theme.near_peaks)
    ]
    return [_rgb(c) for c in colors], values, kinds, parts, peaks


def _half(part: Part) -> float:
    """Half the side of the square, square with its own axes, that holds the part."""
    return max(map(abs, part.at)) + max(part.r, part.depth)


@cache
def _tables(mode: str) -> list[Tensor]:
    rows = [_theme_rows(mode, theme) for theme in THEMES[mode]]
    return [torch.tensor([row[i] for row in rows]) for i in range(5)]


def is_held_out(seed: Tensor) -> Tensor:
    """Whether places of these seeds are kept from training."""
    return seed % HELD_OUT == 0


def make_world(seed: Tensor, theme: Tensor, mode: str = "universal") -> World:
    """Places from seeds (integers in [0, 2^31)) and themes (indices into THEMES[mode]), both [B]."""
    tables = [table.to(seed.device)[theme] for table in _tables(mode)]
    seed = seed.to(torch.int32)
    hashes = [uniform(mix(mix(seed) + 77 + i)) for i in range(5)]
    angle = hashes[0] * 2 * math.pi
    path = torch.stack([angle.cos(), angle.sin(), *(h * 2 * math.pi for h in hashes[1:4])], 1)
    return World(mode, seed, theme, path, *tables)


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


def value_of(world: World, name: str, like: Tensor) -> Tensor:
    return over(world.values[:, VALUES.index(name)], like)


def path_distance(world: World, x: Tensor, z: Tensor) -> Tensor:
    """Distance from points [N, ...] to the middle of the nearest path."""
    cos, sin, a, b, c = (over(world.path[:, i], x) for i in range(5))
    across, along = cos * x - sin * z, sin * x + cos * z
    bend = 2.0 * torch.sin(along * 0.16 + a) + 1.1 * torch.sin(along * 0.29 + b)
    offset = (across - bend + c * 3) * (1 / 22)
    return (offset - torch.floor(offset + 0.5)).abs() * 22


def from_street(world: World, x: Tensor) -> Tensor:
    """Signed distance of coordinates [N, ...], in either direction, to the middle of the nearest road."""
    period = value_of(world, "streets", x) * CELL
    turns = (x - CELL / 2) / period
    return (turns - torch.floor(turns + 0.5)) * period


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


def _kind_at(world: World, u: Tensor, pool: Tensor | int) -> tuple[Tensor, Tensor]:
    """Which kind [N, ...] a number in [0, 1] chooses from a pool, and the kinds' table's rows [N, ..., 7]."""
    shares = world.kinds[:, :-1, :2].view(u.shape[0], *[1] * (u.ndim - 1), -1, 2)
    below = shares[..., 1] if isinstance(pool, int) and pool else shares[..., 0]
    if isinstance(pool, Tensor):
        below = torch.where(pool.unsqueeze(-1), shares[..., 1], below)
    kind = (0.9999 * u.unsqueeze(-1) > below).sum(-1)
    rows = world.kinds.gather(1, kind.view(kind.shape[0], -1, 1).expand(-1, -1, len(KIND)))
    return kind, rows.view(*kind.shape, len(KIND))


def objects_at(world: World, ix: Tensor, iz: Tensor) -> Objects:
    """The objects of lattice cells, int32 [N, ...]: cell i spans [i, i + 1) times CELL."""
    h = mix(ix * 0x1B873593 ^ mix(iz * 0x27D4EB2F + over(world.seed, iz)))
    g = mix(h + 1)
    f = mix(h + 2)
    jitter = JITTER[world.mode]
    x = (ix.float() + 0.5 + (uniform(h) - 0.5) * jitter) * CELL
    z = (iz.float() + 0.5 + (uniform(h, 16) - 0.5) * jitter) * CELL
    u, angle = uniform(g), uniform(f, 16)
    there = uniform(f) < value_of(world, "density", u)
    pool: Tensor | int = 0
    if world.mode == "gta_drive":
        aside_x, aside_z = (from_street(world, (i.float() + 0.5) * CELL).abs() for i in (ix, iz))
        there &= torch.minimum(aside_x, aside_z) > CELL / 2
        pool = torch.minimum(aside_x, aside_z) > CELL * 1.5
        angle = torch.floor(angle * 3.999) / 4
    kind, rows = _kind_at(world, u, pool)
    _, _, solid, reach, least, greatest, _ = rows.unbind(-1)
    if world.mode == "universal":
        there &= path_distance(world, x, z) > 1.1 + reach
    size = (least + (greatest - least) * uniform(g, 16)) * there
    angle = angle * (2 * math.pi)
    return Objects(x, z, size, kind, solid * size, reach * size, angle.cos(), angle.sin(), u)


def row_at(world: World, index: Tensor, stretch: Tensor) -> Objects:
    """What stands beside a causeway: pairs `index` (int32 [N, R]) of a stretch of it (int32 [N, 1]).

    Returns [N, R, 2], left and right, in the stretch's own axes: x across it, z along it.
    """
    h = mix(index * 0x1B873593 ^ mix(stretch * 0x27D4EB2F + over(world.seed, index) + 11))
    there = (uniform(mix(h + 1)) < 0.85).unsqueeze(-1)
    kind, rows = _kind_at(world, uniform(h), 1)
    _, _, _, reach, least, greatest, spans = (field.unsqueeze(-1) for field in rows.unbind(-1))
    side = torch.arange(-1, 2, 2, device=index.device)
    tint = torch.stack([uniform(h, 8), uniform(mix(h + 2))], -1)
    size = (least + (greatest - least) * tint) * there * ((spans < 0.5) | (side < 0))
    x, z = EDGE * side * (1 - spans) + 0 * size, ((index + 0.5) * ROW).unsqueeze(-1) + 0 * size
    one = torch.ones_like(size)
    return Objects(x, z, size, kind.unsqueeze(-1).expand_as(size), 0 * one, reach * size, one, 0 * one, tint)
