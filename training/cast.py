"""Rays through all samples of pictures, and what each of them meets first."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from mgdemo.measure.speeds import HALF_VIEW
from training import ground
from training.columns import FEATURES, meet_objects
from training.motion import POSE
from training.paint import Rays
from training.places import COLORS, VALUES, World
from training.shapes import PARTS

SAMPLES = 2  # a pixel, each way


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
    azimuth, stretch, features, shadows, kinds = meet_objects(world, pose, width * SAMPLES)
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
