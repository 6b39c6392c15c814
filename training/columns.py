"""What a column of pixels meets: objects in the order of distance, cut by the column's upright plane.

The camera is a shift lens: pitch moves the picture along the vertical and leaves upright lines upright, so a
column of pixels lies in one upright plane of the world. That makes drawing cheap: objects are found once a
column, and each is cut by the column's plane.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mgdemo.measure.speeds import HALF_VIEW
from training.ground import Causeway
from training.places import (
    CAUSEWAY,
    CELL,
    EDGE,
    PART_WIDTH,
    ROW,
    SURFACE,
    VALUES,
    Objects,
    World,
    objects_at,
    over,
    row_at,
    smooth,
)
from training.shapes import PARTS

STEPS = 12  # cells a ray crosses
ROWS = 12  # pairs of things along a causeway that are looked at
SLOTS = {"universal": 5, "gta_drive": 6, "templerun": 7}  # objects a column of pixels may meet
VIEW = 40.0  # objects grow out of the ground between this distance and NEAR_VIEW
NEAR_VIEW = 33.0

# What is known of each part that a column of pixels cuts.
FEATURES = (
    "s0", "q", "k", "yc", "y0", "y1", "round", "n_along", "n_side", "p1", "v1", "p2", "v2", "gable",
    "hx", "hz", "tint", *SURFACE,
)  # fmt: skip


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
    causeway = Causeway.of(pose)
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


def meet_objects(
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
