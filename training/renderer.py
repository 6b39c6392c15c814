"""A procedural world, drawn by ray casting in plain tensor operations: unlimited, exact training data.

    generator = torch.Generator().manual_seed(0)
    world = sample_worlds(8, generator)                          # 8 places; .to("cuda") moves them
    keyboard, mouse = sample_actions(8, 81, generator)           # [8, 81, 4], [8, 81, 2]
    poses = integrate(world, sample_start(world, generator), keyboard, mouse)   # [8, 81, 5]
    frames = render(world, poses, 144, 256)                      # uint8 [8, 81, 3, 144, 256]

`render_frames` is a pure function of tensors with fixed trip counts, made for `torch.compile`; `render` cuts
a batch of clips into equal pieces for it.

Every pixel is the mean of four samples, and detail finer than a sample fades out before it is drawn, so
nothing shimmers. `columns` says what makes drawing cheap, and `views` draws pictures of these worlds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from training import car, ground
from training.cast import SAMPLES, cast_rays
from training.paint import TAU, Grain, Rays, blend, noise
from training.places import World, smooth
from training.sky import paint_sky
from training.things import Surface, paint_things, surface_at


def render_frames(world: World, poses: Tensor, height: int, width: int) -> Tensor:
    """Pictures [N, 3, height, width] in [0, 1] of N poses [N, P], each in its own place of `world` [N].

    Fixed shapes in, fixed shapes out: compile it with a constant N.
    """
    pose, color, value, feature, shadows, _, rays, x, z = cast_rays(world, poses, height, width)
    is_object, is_sky, s = rays.is_object, rays.is_sky, rays.s

    def at(name: str) -> Tensor:
        return feature[name].gather(1, rays.part)

    surface = surface_at(rays, at)
    grain = _grain(rays, world, surface, at("tint"), x, z)
    land = ground.PAINT[world.mode](rays, world, pose, color, value, grain, x, z)
    land = land * (1 - 0.6 * _shadow(rays, shadows)[:, None] * (1 - color["shade"] * 0.7))
    thing = paint_things(rays, color, value, grain, at, surface)
    sky = paint_sky(rays, color, value, grain, world.theme, world.peaks)
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
    coarse = noise(u, v, seed, mask) * fade
    fine = noise(2 * u + 0.37, 2 * v + 0.71, seed + 1013, mask * 2 + 1) * (1.5 - 3.2 * pixel).clamp(0, 1)
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
