"""Motion in the procedural worlds: poses from actions, and random starts and actions to train on.

A pose is a row of numbers, in units and radians, named by `POSE[mode]`. The first five are the camera's: x,
z, yaw (0 looks along +z, growing to the right), pitch (growing upwards) and the eye's height; the rest is
whatever else is needed to continue. The action of video frame f moves frame f to frame f+1: the last row of a
clip moves nothing.

universal   walking, with things that push one out.
gta_drive   a car, seen from behind. It is at full speed, and stands, a quarter of a second after the key;
            steering alone makes it creep. Speed and lock follow from the last few actions alone.
templerun   always running. A jump is an arc of 12 frames, a turn a quarter circle of 12, and neither is
            interrupted; sliding and stepping aside last as long as they are held, and 5 frames more.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mgdemo.actions import MODES, ActionTrack
from mgdemo.measure.speeds import (
    ARC,
    BOB,
    CREEP,
    DUCK,
    EYE,
    JUMP,
    LEVER,
    PITCH,
    PITCH_LIMIT,
    REACT,
    REVERSE,
    RUN_SPEED,
    SPEED,
    STEP,
    TO_LOCK,
    TO_TOP,
    TOP_SPEED,
    TURN,
)
from training.places import CELL, HELD_OUT, World, make_world, objects_at, path_distance, value_of
from training.themes import THEMES

CAMERA = ("x", "z", "yaw", "pitch", "eye")
POSE = {
    "universal": CAMERA,
    "gta_drive": (*CAMERA, "speed", "steer", "brake"),
    # `base` is the place on the causeway's middle, `side` the way from there to the camera, `low` how far one
    # has ducked, `jump` and `turn` the frames that are left of them, `old` and `new` are the stretches of
    # causeway before and after the latest corner (a place on the middle, the heading), `count` the corners.
    "templerun": (
        *CAMERA, "base_x", "base_z", "side", "low", "jump", "turn", "frame",
        "old_x", "old_z", "old_yaw", "new_x", "new_z", "new_yaw", "count",
    ),
}  # fmt: skip
CLEARANCE = 0.8  # universal: the camera stays this far from what is solid
RADIUS = ARC * RUN_SPEED / (math.pi / 2)  # templerun: of a turn
LANE = 1.15  # gta_drive: from the middle of a road to that of its right lane


def step(world: World, pose: Tensor, keyboard: Tensor, mouse: Tensor) -> Tensor:
    """The next pose [B, len(POSE[mode])] under actions [B, K] and [B, 2], as mgdemo.actions defines them.

    Modes without a camera have a mouse, too, in all of this package; it is zero there and means nothing.
    """
    return _STEPS[world.mode](world, pose, keyboard, mouse)


def _walk(world: World, pose: Tensor, keyboard: Tensor, mouse: Tensor) -> Tensor:
    x, z, yaw, pitch, eye = pose.unbind(-1)
    ahead, side = keyboard[:, 0] - keyboard[:, 1], keyboard[:, 3] - keyboard[:, 2]
    scale = SPEED / torch.sqrt(ahead**2 + side**2).clamp(min=1)
    sin, cos = yaw.sin(), yaw.cos()
    x, z = push_out(world, x + (ahead * sin + side * cos) * scale, z + (ahead * cos - side * sin) * scale)
    pitch = (pitch + mouse[:, 0] * TURN).clamp(-PITCH_LIMIT, PITCH_LIMIT)
    return torch.stack([x, z, yaw + mouse[:, 1] * TURN, pitch, eye], -1)


def _toward(value: Tensor, target: Tensor, most: float) -> Tensor:
    return value + (target - value).clamp(-most, most)


def _drive(world: World, pose: Tensor, keyboard: Tensor, mouse: Tensor) -> Tensor:
    x, z, yaw, pitch, eye, speed, steer, _ = pose.unbind(-1)
    gas, brake = keyboard.unbind(-1)
    lock = (mouse[:, 1] * 10).clamp(-3, 3)
    pedals = gas - REVERSE * brake
    idle = (gas + brake == 0) * lock.abs().clamp(max=1) * CREEP
    speed = _toward(speed, TOP_SPEED * torch.where(gas * brake > 0, 0.0, pedals + idle), TOP_SPEED / TO_TOP)
    steer = _toward(steer, lock, 1 / TO_LOCK)
    # Slow cars turn less, and backing cars the other way.
    turned = yaw + steer * 0.1 * TURN * (speed / (REVERSE * TOP_SPEED)).clamp(-1, 1)
    middle = (yaw + turned) / 2
    x = x + LEVER * (yaw.sin() - turned.sin()) + speed * middle.sin()
    z = z + LEVER * (yaw.cos() - turned.cos()) + speed * middle.cos()
    car_x, car_z = x + LEVER * turned.sin(), z + LEVER * turned.cos()
    free_x, free_z = push_out(world, car_x, car_z)
    x, z = push_out(world, x + (free_x - car_x), z + (free_z - car_z))
    return torch.stack([x, z, turned, pitch, eye, speed, steer, brake], -1)


def _run(world: World, pose: Tensor, keyboard: Tensor, _mouse: Tensor) -> Tensor:
    (_, _, yaw, _, _, base_x, base_z, side, low, jump, turn, frame,
     old_x, old_z, old_yaw, new_x, new_z, new_yaw, count) = pose.unbind(-1)  # fmt: skip
    _, up, down, turn_left, turn_right, left, right = keyboard.unbind(-1)
    free = (jump == 0) & (turn == 0)
    jump = torch.where(free & (up > 0), ARC, jump)
    turning = free & (turn_left + turn_right > 0)
    way = turn_right - turn_left
    turn = torch.where(turning, ARC * way, turn)
    # The causeway bends where the turn leads: its corner is one radius ahead.
    sin, cos = new_yaw.sin(), new_yaw.cos()
    old_x, old_z, old_yaw = (
        torch.where(turning, a, b) for a, b in ((new_x, old_x), (new_z, old_z), (new_yaw, old_yaw))
    )
    new_x = torch.where(turning, base_x + RADIUS * sin, new_x)
    new_z = torch.where(turning, base_z + RADIUS * cos, new_z)
    new_yaw = torch.where(turning, new_yaw + way * math.pi / 2, new_yaw)
    count = count + turning

    still = free.float() * (1 - turning.float())
    side = _toward(side, (right - left) * STEP * still, STEP / REACT)
    low = _toward(low, down * still, 1 / REACT)
    jump, before, turn = (jump - 1).clamp(min=0), turn, turn - turn.sign()
    turned = yaw + (before - turn) * (math.pi / 2 / ARC)
    middle = (yaw + turned) / 2
    # Pull back onto the middle of the causeway what rounding has moved off it.
    base_x, base_z = base_x + RUN_SPEED * middle.sin(), base_z + RUN_SPEED * middle.cos()
    off = (base_x - new_x) * new_yaw.cos() - (base_z - new_z) * new_yaw.sin()
    off = torch.where(turn == 0, off, 0.0)
    base_x, base_z = base_x - off * new_yaw.cos(), base_z + off * new_yaw.sin()
    turned = torch.where(turn == 0, new_yaw, turned)
    frame = torch.remainder(frame + 1, ARC)
    return torch.cat([
        run_camera(base_x, base_z, turned, side, low, jump, frame),
        torch.stack([base_x, base_z, side, low, jump, turn, frame, old_x, old_z, old_yaw, new_x, new_z,
                     new_yaw, count], -1),
    ], -1)  # fmt: skip


def run_camera(
    x: Tensor, z: Tensor, yaw: Tensor, side: Tensor, low: Tensor, jump: Tensor, frame: Tensor
) -> Tensor:
    """The camera [B, 5] of a runner; it bobs twice in 12 frames, but not in the air or on the ground."""
    air = jump * (ARC - jump) * (4 / ARC**2)
    phase = frame * (2 * math.pi / ARC)
    calm = (1 - low) * (jump == 0)
    sway = side + 0.025 * phase.sin() * calm
    eye = EYE["templerun"] + JUMP * air - DUCK * low + BOB * (2 * phase).sin() * calm
    pitch = PITCH["templerun"] - 0.10 * air + 0.05 * low
    return torch.stack([x + sway * yaw.cos(), z - sway * yaw.sin(), yaw, pitch, eye], -1)


_STEPS = {"universal": _walk, "gta_drive": _drive, "templerun": _run}


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
    """Poses [B, T, P] of clips that begin at `start` [B, P] under actions [B, T, K] and [B, T, 2]."""
    poses = [start]
    for frame in range(keyboard.shape[1] - 1):
        poses.append(step(world, poses[-1], keyboard[:, frame], mouse[:, frame]))
    return torch.stack(poses, 1)


def as_tensors(tracks: list[ActionTrack]) -> tuple[Tensor, Tensor]:
    """The rows of tracks of one mode and length, as `integrate` takes them."""
    keyboard = torch.stack([torch.tensor(track.keyboard) for track in tracks])
    if tracks[0].mouse is None:
        return keyboard, torch.zeros(*keyboard.shape[:2], 2)
    return keyboard, torch.stack([torch.tensor(track.mouse) for track in tracks])


def as_track(mode: str, keyboard: Tensor, mouse: Tensor) -> ActionTrack:
    """The inverse of `as_tensors`, for one clip's rows [T, K] and [T, 2]."""
    return ActionTrack(mode, keyboard.numpy(), mouse.numpy() if MODES[mode].has_mouse else None)


def _draw(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.rand(*shape, generator=generator)


def sample_worlds(
    batch: int,
    generator: torch.Generator,
    *,
    mode: str = "universal",
    held_out: bool = False,
    themes: tuple[str, ...] | None = None,
) -> World:
    """Random places on the CPU, of the named themes (default all), never of the other side of the split."""
    names = [theme.name for theme in THEMES[mode]]
    if unknown := set(themes or ()) - set(names):
        raise ValueError(f"No theme is called {sorted(unknown)[0]!r}; there are {', '.join(names)}.")
    chosen = torch.tensor([names.index(name) for name in themes or names])
    seed = torch.randint(0, 2**31 // HELD_OUT, (batch,), generator=generator) * HELD_OUT
    if not held_out:
        seed += torch.randint(1, HELD_OUT, (batch,), generator=generator)
    return make_world(seed, chosen[torch.randint(0, len(chosen), (batch,), generator=generator)], mode)


def sample_start(world: World, generator: torch.Generator) -> Tensor:
    """A start pose [B, P] per place: on free ground, on a road's right lane, or running.

    Draws on the generator's device (the CPU) and returns poses on the world's.
    """
    return _STARTS[world.mode](world, generator)


def _stand(world: World, generator: torch.Generator, candidates: int = 12) -> Tensor:
    """Level, with things to see and none in the way."""
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
    return _camera(world, x[index], z[index], yaw[index])


def _camera(world: World, x: Tensor, z: Tensor, yaw: Tensor) -> Tensor:
    return torch.stack([x, z, yaw, x * 0 + PITCH[world.mode], x * 0 + EYE[world.mode]], 1)


def _park(world: World, generator: torch.Generator) -> Tensor:
    """On the right lane of a road, looking along it."""
    batch = len(world.seed)
    u, v, w, jitter = _draw(generator, batch, 4).to(world.seed.device).unbind(1)
    quarter = torch.floor(w * 3.999)
    period = value_of(world, "streets", u) * CELL
    across = (torch.floor(u * 80) - 40) * period + CELL / 2  # the middle of a road
    along = (torch.floor(v * 80) - 40 + 0.15 + 0.5 * jitter) * period  # not on a crossing
    yaw = quarter * (math.pi / 2)
    sin, cos = yaw.sin().round(), yaw.cos().round()
    x = torch.where(cos != 0, across + LANE * cos, along)
    z = torch.where(cos != 0, along, across - LANE * sin)
    still = torch.zeros(batch, 3, device=x.device)
    return torch.cat([_camera(world, x, z, yaw + (w * 7 % 1 - 0.5) * 0.08), still], 1)


def _be_running(world: World, generator: torch.Generator) -> Tensor:
    batch = len(world.seed)
    u, v, w = _draw(generator, batch, 3).to(world.seed.device).unbind(1)
    x, z, yaw, no = (u - 0.5) * 800, (v - 0.5) * 800, w * 2 * math.pi, u * 0
    camera = run_camera(x, z, yaw, no, no, no, no)
    first = x - 3 * yaw.sin(), z - 3 * yaw.cos(), yaw  # just past what stands beside the causeway
    return torch.cat([camera, torch.stack([x, z, *[no] * 5, *first, *first, no], 1)], 1)


_STARTS = {"universal": _stand, "gta_drive": _park, "templerun": _be_running}


# What is held for a stretch, and how often: rows of (keyboard, mouse, share), the mouse in held camera keys.
_WALKS = {"W": (1, 0, 0, 0), "S": (0, 1, 0, 0), "A": (0, 0, 1, 0), "D": (0, 0, 0, 1), "": (0, 0, 0, 0)}
_WALKS |= {"WA": (1, 0, 1, 0), "WD": (1, 0, 0, 1), "SA": (0, 1, 1, 0), "SD": (0, 1, 0, 1)}
_LOOKS = {"": (0, 0), "left": (0, -1), "right": (0, 1), "up": (1, 0), "down": (-1, 0)}
_LOOKS |= {"up left": (1, -1), "up right": (1, 1), "down left": (-1, -1), "down right": (-1, 1)}
_SHARES = {
    ("", ""): 15, ("W", ""): 15, ("S", ""): 13, ("A", ""): 8, ("D", ""): 8,
    ("", "left"): 11, ("", "right"): 11, ("", "up"): 3, ("", "down"): 3, ("W", "left"): 5, ("W", "right"): 5,
    ("WA", ""): 1.5, ("WD", ""): 1.5, ("SA", ""): 0.7, ("SD", ""): 0.7, ("A", "right"): 1.3,
    ("D", "left"): 1.3, ("A", "left"): 1.3, ("D", "right"): 1.3, ("S", "left"): 1, ("S", "right"): 1,
    ("W", "up"): 1, ("W", "down"): 1,
}  # fmt: skip
_RARE = 4.0 / (len(_WALKS) * len(_LOOKS) - len(_SHARES))  # each of all the other pairs
_PEDALS = {
    (1, 0): (30, 12),
    (0, 1): (30, 8),  # hardest to learn: what comes into view is near, and cannot be known
    (0, 0): (14, 6),
    (1, 1): (0.6, 0.2),
}  # straight, steered each way
_HELD = {
    "universal": [
        (_WALKS[walk], _LOOKS[look], _SHARES.get((walk, look), _RARE)) for walk in _WALKS for look in _LOOKS
    ],
    "gta_drive": [
        (keys, (0, steer), shares[abs(steer)]) for keys, shares in _PEDALS.items() for steer in (-1, 0, 1)
    ],
    "templerun": [
        (tuple(float(i == hot) for i in range(7)), (0, 0), share)
        for hot, share in enumerate((26, 15, 13, 10, 10, 13, 13))
    ],
}
_ANALOGUE = 0.12  # share of the stretches in which the camera moves by more or less than a held key does


def sample_actions(
    batch: int, frames: int, generator: torch.Generator, mode: str = "universal"
) -> tuple[Tensor, Tensor]:
    """Random sessions: keyboard [B, T, K] and mouse [B, T, 2] on the CPU.

    Controls are held for 4 to 36 frames; in 70 % of the clips they change only where a block begins (frames
    9, 21, 33 and so on). Now and then the camera moves as a mouse or a stick would move it, 0.3 to 2 times as
    fast as a held key does.
    """
    keyboards, mice, shares = zip(*_HELD[mode], strict=True)
    stretches = frames // 4 + 2
    choice = torch.multinomial(
        torch.tensor(shares, dtype=torch.float32), batch * stretches, replacement=True, generator=generator
    ).view(batch, stretches)
    length = torch.randint(4, 37, (batch, stretches), generator=generator)
    blocks = torch.randint(1, 4, (batch, stretches), generator=generator) * 12
    blocks[:, 0] -= 3
    length = torch.where(_draw(generator, batch, 1) < 0.7, blocks, length)
    stretch = torch.searchsorted(length.cumsum(1), torch.arange(frames).repeat(batch, 1), right=True)
    held = choice.gather(1, stretch)
    keyboard = torch.tensor(keyboards, dtype=torch.float32)[held]
    odd = _draw(generator, batch, stretches) < _ANALOGUE
    pace = torch.where(odd, 0.3 * (2 / 0.3) ** _draw(generator, batch, stretches), 1.0).gather(1, stretch)
    return keyboard, torch.tensor(mice, dtype=torch.float32)[held] * 0.1 * pace.unsqueeze(-1)
