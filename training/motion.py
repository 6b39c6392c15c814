"""Motion in the procedural world: poses from actions, and random starts and actions to train on.

A pose is (x, z, yaw, pitch), in units and radians: yaw 0 looks along +z, yaw grows to the right, pitch grows
upwards. The action of video frame f moves frame f to frame f+1: the last row of a clip moves nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from training.places import CELL, HELD_OUT, World, make_world, objects_at, path_distance
from training.themes import THEMES

CLEARANCE = 0.8  # the camera stays this far from what is solid
SPEED = 0.10  # units a frame
TURN = math.radians(15)  # radians a frame for a mouse value of 1, so 1.5 degrees for 0.1
PITCH_LIMIT = math.radians(18)  # the horizon stays in the picture


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
    near = torch.arange(4, dtype=torch.int32, device=x.device)
    there = objects_at(world, corner_x[:, None] + near // 2, corner_z[:, None] + near % 2)
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
    seen = (there.size > 0) & (ahead > (aside.abs() - there.reach) * 1.3)
    good = (seen & (distance > 4.5) & (distance < 14)).float() * (1 - (distance - 8).abs() / 12)
    blocked = (seen & (distance < 4.5)) | ((there.size > 0) & (distance < there.solid + CLEARANCE + 0.3))
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
