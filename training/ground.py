"""What lies on the ground of each world: paths and flowers, streets, or a causeway above the sea."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from training.motion import ARC
from training.paint import Grain, Rays, blend, cover, stripe
from training.places import CAUSEWAY, World, from_street, mix, over, path_distance, smooth, uniform

SEA = 0.8  # templerun: depth of the sea below the causeway
ROAD = 2.3  # gta_drive: half a road's width
PAVEMENT = 1.0


def _tones(color: dict, grain: Grain) -> Tensor:
    """Painted patches in the ground's three tones."""
    coarse, fine = grain.coarse, grain.fine
    patch = smooth(coarse + 0.3 * fine, -0.07, 0.07)
    spot = smooth(1.2 * coarse + 0.8 * fine, 0.16, 0.28)
    return blend(blend(color["ground0"], color["ground1"], patch), color["ground2"], spot)


def _places(
    rays: Rays, world: World, _pose: dict, color: dict, value: dict, grain: Grain, x: Tensor, z: Tensor
) -> Tensor:
    """Ground [N, 3, H, W] with a path, flowers or pebbles."""
    coarse, fine = grain.coarse, grain.fine
    footprint = rays.s * rays.s * (1 / rays.focal)  # length of a pixel on the ground, in units
    land = _tones(color, grain)
    aside = path_distance(world, x, z) + fine * 0.35
    on_path = cover(1.0 - aside, 0.08 + footprint * 0.25)
    way = blend(color["path1"], color["path0"], smooth(coarse + fine, -0.12, 0.12))
    land = blend(land, way, on_path)

    u, v = torch.floor(x * 1.25), torch.floor(z * 1.25)
    h = mix(u.int() * 0x1B873593 ^ (v.int() * 0x27D4EB2F + world.seed[:, None, None] + 3))
    u, v = x * 1.25 - u - 0.25 - 0.5 * uniform(h), z * 1.25 - v - 0.25 - 0.5 * uniform(h, 8)
    dot = cover(0.10 + 0.10 * uniform(h, 9) - torch.sqrt(u * u + v * v), 0.04 + footprint * 0.6)
    dot = dot * (1.4 - 5 * footprint).clamp(0, 1) * (uniform(h, 3) < value["dot_share"]) * (1 - on_path)
    return blend(land, blend(color["dots0"], color["dots1"], (uniform(h, 5) > 0.5).float()), dot)


# From one dash in the middle of a road to the next; a car drives half of it in a block. If it drove all of
# it, a road that stands still would look like one that moves.
DASHES = 4.8
MENDED = 3.4  # length of road with a place for a patch of newer tar in each lane
# How bright it is at night in the beams of the car and below the lamps above the road. Beams move with the
# camera: were they the brighter ones, the road would seem to stand.
BEAMS, LAMPS = 0.3, 1.3


def _patches(
    world: World, which: Tensor, across: Tensor, along: Tensor, pixel: Tensor, pixel_along: Tensor
) -> Tensor:
    """Share of a pixel that newer tar covers: a rectangle here and there in a lane, unlike the next."""
    row, lane = torch.floor(along / MENDED), (across > 0).int()
    h = mix(row.int() * 0x1B873593 ^ mix(which.int() * 2 + lane + world.seed[:, None, None]))
    before, aside = (along - (row + 0.35 + 0.3 * uniform(h)) * MENDED).abs(), (across.abs() - ROAD / 2).abs()
    inside = cover(0.35 + 0.55 * uniform(h, 5) - before, pixel_along)
    inside = torch.minimum(inside, cover(0.30 + 0.45 * uniform(h, 9) - aside, pixel))
    return inside * (uniform(h, 14) < 0.6)


def _streets(
    rays: Rays, world: World, pose: dict, color: dict, value: dict, grain: Grain, x: Tensor, z: Tensor
) -> Tensor:
    """Lawns, pavements, and roads with lanes, crossings and, at night, the light of lamps."""
    u, v = from_street(world, x), from_street(world, z)
    long, wide = rays.s * rays.s / (rays.focal * rays.eye), rays.s / rays.focal
    sin, cos = rays.azimuth.sin().abs(), rays.azimuth.cos().abs()
    pixel_u, pixel_v = 1e-3 + sin * long + cos * wide, 1e-3 + cos * long + sin * wide
    nearer = (u.abs() < v.abs()).float()  # of the two roads, the one along z
    pixel = torch.lerp(pixel_v, pixel_u, nearer)
    off = torch.minimum(u.abs(), v.abs()) - ROAD
    crossing = torch.maximum(u.abs(), v.abs()) - ROAD  # negative where two roads cross
    across, along = torch.lerp(v, u, nearer), torch.lerp(z, x, 1 - nearer)
    pixel_along = torch.lerp(pixel_u, pixel_v, nearer)

    land = _tones(color, grain)
    tiles = torch.maximum(
        stripe(torch.remainder(x, 0.9) - 0.45, 0.025, pixel_u),
        stripe(torch.remainder(z, 0.9) - 0.45, 0.025, pixel_v),
    )
    stone = blend(
        color["stone0"], color["stone1"], torch.maximum(tiles, smooth(grain.coarse, 0.0, 0.2) * 0.5)
    )
    land = blend(land, stone, cover(PAVEMENT - off, pixel))
    land = blend(land, color["stone0"] * 1.08, cover(0.16 - off, pixel))
    road = blend(color["path0"], color["path1"], smooth(grain.coarse + 0.5 * grain.fine, -0.1, 0.1))
    fade = (1.3 - 0.7 * pixel_along).clamp(0, 1)
    place = torch.remainder(along, DASHES) - DASHES / 2
    dashes = cover(1.0 - place.abs(), pixel_along) * fade + 0.4 * (1 - fade)
    clear = cover(crossing - 1.5, pixel_along)
    which = torch.round(torch.lerp(z - v, x - u, nearer))  # the middle of the road
    patches = _patches(world, which, across, along, pixel, pixel_along) * fade * clear
    road = road * (1 - 0.25 * patches)[:, None]
    paint = stripe(across, 0.09, pixel) * dashes
    paint = torch.maximum(paint, stripe(across.abs() - (ROAD - 0.2), 0.05, pixel)) * clear
    bars = stripe(torch.remainder(across, 0.7) - 0.35, 0.18, pixel)
    bars = bars * cover(0.45 - (crossing - 0.75).abs(), pixel_along) * (across.abs() < ROAD - 0.15)
    road = blend(road, 0.25 * road + 0.75 * color["light"] * 0.95, torch.maximum(paint, bars))
    land = blend(land, road, cover(-off, pixel))
    land = land * (1 - 0.25 * stripe(off, 0.04, pixel)[:, None])

    turn = rays.azimuth - pose["yaw"][:, None, None]
    ahead, side = rays.s * turn.cos(), rays.s * turn.sin()
    beams = torch.exp(-(((ahead - 8.5) / 5) ** 2)) * torch.exp(-((side / (1.2 + 0.16 * ahead)) ** 2))
    lamps = torch.exp(-((place.abs() - DASHES / 2) ** 2) / 1.1 - across**2 / 5) * smooth(crossing, 0.0, 2.0)
    lights = torch.exp(-(u**2 + v**2) / 16)
    warm = torch.cat([1.05 * beams[:, None], 0.96 * beams[:, None], 0.74 * beams[:, None]], 1)
    amber = torch.cat([1.2 * lamps[:, None], 0.82 * lamps[:, None], 0.45 * lamps[:, None]], 1)
    pools = torch.cat([lights[:, None], 0.62 * lights[:, None], 0.80 * lights[:, None]], 1)
    return land * (1 + value["night"][:, None] * (BEAMS * warm + LAMPS * amber + 0.5 * pools))


class Stretch(NamedTuple):
    """A straight piece of causeway; tensors [N]. It begins at (x, z), unless `endless`, and never ends."""

    x: Tensor
    z: Tensor
    cos: Tensor
    sin: Tensor
    number: Tensor  # int32
    endless: Tensor  # 1.0: it also comes from the horizon
    up: Tensor  # how far it has come out of the sea, 0 to 1
    length: Tensor  # units that can be seen of it

    def place(self, x: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Points [N, ...] across (to the right) and along it."""
        x, z, cos, sin = x - over(self.x, x), z - over(self.z, z), over(self.cos, x), over(self.sin, x)
        return x * cos - z * sin, x * sin + z * cos

    def spot(self, across: Tensor, along: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of `place`."""
        x, z, cos, sin = (over(field, across) for field in self[:4])
        return x + across * cos + along * sin, z - across * sin + along * cos

    def shown(self, along: Tensor) -> Tensor:
        """How much of what stands at `along` [N, ...] has come up, 0 to 1."""
        past = (along > 3) | (over(self.endless, along) > 0)
        return past * ((over(self.length, along) - along) / 2).clamp(0, 1) * (over(self.up, along) > 0)


class Causeway(NamedTuple):
    """The stretches before and after the latest corner; the old one is there only while one turns."""

    stretches: tuple[Stretch, Stretch]

    @classmethod
    def of(cls, pose: dict[str, Tensor]) -> Causeway:
        turning = (pose["turn"] != 0).float()
        done = torch.where(turning > 0, ARC - pose["turn"].abs(), 1e3)
        first = (pose["count"] == 0).float()
        number = pose["count"].int()
        stretches = []
        for i, (name, up, length, endless) in enumerate(
            (
                ("old", turning, 1e3 * turning, torch.ones_like(done)),
                ("new", (done / 5).clamp(max=1), 6 * done, first),
            )
        ):
            x, z, yaw = (pose[f"{name}_{axis}"] for axis in ("x", "z", "yaw"))
            stretches.append(Stretch(x, z, yaw.cos(), yaw.sin(), number - 1 + i, endless, up, length))
        return cls(tuple(stretches))

    def distance(self, x: Tensor, z: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """Of points [N, ...]: their place (across, along) on the nearer stretch, and how far off it they are
        (negative on it)."""
        best = None
        for stretch in self.stretches:
            across, along = stretch.place(x, z)
            rows = torch.floor(along / 0.95)
            h = mix(rows.int() * 0x1B873593 ^ (over(stretch.number, x) * 77 + (across > 0).int()))
            off = across.abs() - CAUSEWAY + 0.16 * uniform(h)
            begin = -along - CAUSEWAY - over(stretch.endless, x) * 1e6
            off = torch.maximum(torch.maximum(off, begin), along - over(stretch.length, x))
            off = off + (over(stretch.up, x) <= 0) * 1e6
            if best is None:
                best = across, along, off
            else:
                nearer = off < best[2]
                best = [torch.where(nearer, a, b) for a, b in zip((across, along, off), best, strict=True)]
        return (best[0], best[1]), best[2]


def _causeway(
    rays: Rays, world: World, pose: dict, color: dict, value: dict, grain: Grain, x: Tensor, z: Tensor
) -> Tensor:
    """Slabs with moss in their joints, above the sea."""
    (across, along), off = Causeway.of(pose).distance(x, z)
    high = (rays.eye + rays.m * rays.s > -SEA / 2).float()
    long, wide = 1e-3 + rays.s * rays.s / (rays.focal * rays.eye), 1e-3 + rays.s / rays.focal
    row = torch.floor(along / 0.95)
    shift = across + 0.3 * (torch.remainder(row, 2) - 0.5)
    column = torch.floor(shift / 0.82 + 0.5)
    h = mix(row.int() * 0x1B873593 ^ (column.int() * 0x27D4EB2F + 5))
    joint = stripe(torch.remainder(along, 0.95) - 0.475, 0.035, long)  # joints run between the rows' middles
    joint = torch.maximum(
        stripe(torch.remainder(along + 0.475, 0.95) - 0.475, 0.035, long),
        stripe(shift - 0.82 * (torch.floor(shift / 0.82) + 0.5), 0.03, wide),
    )
    near = (1.4 - 0.8 * long).clamp(0, 1)
    stone = blend(
        color["stone0"], color["stone1"], (0.7 * uniform(h) * near + 0.3 * smooth(grain.coarse, -0.2, 0.2))
    )
    moss = smooth(-off + 0.5 * grain.coarse + 0.3 * grain.fine, 0.42, 0.10)
    stone = blend(stone, blend(color["path0"], color["path1"], smooth(grain.fine, -0.1, 0.1)), 0.85 * moss)
    stone = blend(stone, 0.55 * color["stone1"], 0.8 * joint * near)
    stone = stone * (1 - 0.35 * smooth(-off, 0.10, 0.02)[:, None])

    sea = _tones(color, grain)
    flat = smooth(rays.s, 6, 45) * 0.45
    sea = blend(sea, 0.5 * color["horizon"] + 0.5 * color["ground2"], flat)
    # Things on the edge darken the sea below it.
    sea = sea * (1 - 0.30 * smooth(off, 0.9, 0.1)[:, None])
    return blend(sea, stone, high)


PAINT = {"universal": _places, "gta_drive": _streets, "templerun": _causeway}
