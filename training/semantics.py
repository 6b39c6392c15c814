"""What is where in a picture of the procedural worlds: the renderer's own knowledge, without its paint.

    shares = name_rays(world, poses, 144, 256)     # [N, len(CLASSES), 144, 256], of each pixel's four samples

The same rays as in `render_frames`: a class is what a ray hits first. The skyline counts as sky, since
nothing in it can be reached; the car stands in front of everything.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from training import car, ground
from training.cast import SAMPLES, Cast, cast_rays
from training.places import World, from_street, path_distance
from training.shapes import NAMES
from training.themes import THEMES

# "ground" is a meadow, a desert, snow, or a town's lawn; "way" a path, a road or a causeway; "sea" also lava
# and clouds below a causeway.
CLASSES = ("sky", "ground", "way", "pavement", "sea", "car", *NAMES)
_SKY, _GROUND, _WAY, _PAVEMENT, _SEA, _CAR = range(6)
PATH = 1.0  # half a path's width


@cache
def _kinds(mode: str) -> Tensor:
    """The class of each kind of a theme, int64 [themes, kinds]."""
    rows = [[CLASSES.index(kind.what) for kind in theme.kinds] for theme in THEMES[mode]]
    most = max(map(len, rows))
    return torch.tensor([row + row[-1:] * (most - len(row)) for row in rows])


def _walked(world: World, cast: Cast) -> Tensor:
    return torch.where(path_distance(world, cast.x, cast.z) < PATH, _WAY, _GROUND)


def _driven(world: World, cast: Cast) -> Tensor:
    off = torch.minimum(from_street(world, cast.x).abs(), from_street(world, cast.z).abs()) - ground.ROAD
    beside = torch.where(off < ground.PAVEMENT, _PAVEMENT, _GROUND)
    return torch.where(off < 0, _WAY, beside)


def _run(_world: World, cast: Cast) -> Tensor:
    return torch.where(cast.rays.eye + cast.rays.m * cast.rays.s > -ground.SEA / 2, _WAY, _SEA)


_FLOORS = {"universal": _walked, "gta_drive": _driven, "templerun": _run}


def _behind_the_car(cast: Cast) -> Tensor:
    """Whether the car covers a ray: it is opaque where the picture behind it makes no difference."""
    n, height, width = cast.rays.s.shape
    black = torch.zeros(n, 3, height, width, device=cast.rays.s.device)
    drawn = [car.draw(behind, cast.pose, cast.color, cast.value) for behind in (black, black + 1)]
    return (drawn[1] - drawn[0]).abs().amax(1) < 0.3


def name_rays(world: World, poses: Tensor, height: int, width: int) -> Tensor:
    """Shares [N, len(CLASSES), height, width] of each pixel, of N poses [N, P], one in each place [N]."""
    cast = cast_rays(world, poses, height, width)
    objects = _kinds(world.mode).to(poses.device)[world.theme]  # [N, kinds]
    named = objects.gather(1, cast.kind.flatten(1)).view_as(cast.kind)
    named = torch.where(cast.rays.is_object > 0, named, _FLOORS[world.mode](world, cast))
    named = torch.where(cast.rays.is_sky > 0, _SKY, named)
    if world.mode == "gta_drive":
        named = torch.where(_behind_the_car(cast), _CAR, named)
    return F.avg_pool2d(F.one_hot(named, len(CLASSES)).movedim(-1, 1).float(), SAMPLES)
