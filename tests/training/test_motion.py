"""Driving and running: what each key does to the pose, and what can be known from the last few keys alone."""

import math

import pytest
import torch

from mgdemo.actions import MODES, ActionTrack
from training import motion
from training.places import CAUSEWAY, CELL, from_street, objects_at

COUNT = 24  # places at once


def play(mode, *plan, count=COUNT, seed=0):
    """Poses [count, T, P] and their columns by name, of held controls one after the other."""
    generator = torch.Generator().manual_seed(seed)
    world = motion.sample_worlds(count, generator, mode=mode)
    track = ActionTrack.concat([ActionTrack.hold(mode, held, frames=frames) for held, frames in plan])
    keyboard, mouse = motion.as_tensors([track] * count)
    poses = motion.integrate(world, motion.sample_start(world, generator), keyboard, mouse)
    return world, dict(zip(motion.POSE[mode], poses.unbind(-1), strict=True))


def gone(pose, first, last):
    """How far the camera has moved between two frames, ahead and to the right of where it looked first."""
    x, z, yaw = (
        pose["x"][:, last] - pose["x"][:, first],
        pose["z"][:, last] - pose["z"][:, first],
        pose["yaw"],
    )
    sin, cos = yaw[:, first].sin(), yaw[:, first].cos()
    return x * sin + z * cos, x * cos - z * sin


def test_tracks_survive_as_tensors():
    for mode in MODES:
        track = ActionTrack.hold(mode, [MODES[mode].controls[0].name], frames=3)
        keyboard, mouse = motion.as_tensors([track])
        assert motion.as_track(mode, keyboard[0], mouse[0]) == track


def test_a_car_without_keys_stands_still():
    _, pose = play("gta_drive", ((), 20))
    for name, values in pose.items():
        assert (values == values[:, :1]).all(), name


def test_a_car_is_fast_at_once_and_stops_at_once():
    _, pose = play("gta_drive", (["accelerate"], 10), ((), 10), (["brake"], 12))
    assert pose["speed"][:, 6].min() == pytest.approx(motion.TOP_SPEED)
    assert (pose["speed"][:, 16:21].abs() < 1e-6).all()
    assert pose["speed"][:, -1].max() == pytest.approx(-motion.REVERSE * motion.TOP_SPEED)
    assert (pose["brake"][:, 21:] == 1).all() and (pose["brake"][:, :21] == 0).all()


@pytest.mark.parametrize("key, sign", [("steer_left", -1), ("steer_right", 1)])
def test_steering_turns_the_car_the_other_way_when_it_backs(key, sign):
    def turned(*held):
        _, pose = play("gta_drive", (held, 25))
        return sign * (pose["yaw"][:, -1] - pose["yaw"][:, 0])

    ahead, creeping, backing = turned("accelerate", key), turned(key), turned("brake", key)
    assert (ahead > math.radians(25)).all()
    assert ((creeping > math.radians(15)) & (creeping < ahead)).all()
    assert (backing < -math.radians(25)).all()


def test_a_car_turns_about_its_rear_axle_not_about_the_camera():
    _, pose = play("gta_drive", (["accelerate"], 8), (["accelerate", "steer_right"], 9))
    _, aside = gone(pose, 8, 16)
    assert (aside < 0).float().mean() > 0.9, "the camera swings out of the bend"


def test_cars_start_on_a_road_s_right_lane_and_along_it():
    world, pose = play("gta_drive", ((), 1), count=200)
    x, z, yaw = (pose[name][:, 0] for name in ("x", "z", "yaw"))
    along_z = (yaw.cos().abs() > 0.9).float()
    across = torch.lerp(from_street(world, z) * -yaw.sin(), from_street(world, x) * yaw.cos(), along_z)
    assert torch.allclose(across, torch.tensor(motion.LANE), atol=0.01)
    cells = [torch.floor(v / CELL).int()[:, None] for v in (x, z)]
    assert (objects_at(world, *cells).size == 0).all()


def test_cars_do_not_drive_through_houses():
    world, pose = play("gta_drive", (["accelerate", "steer_left"], 30), (["accelerate"], 200), count=60)
    for frame in range(0, 230, 3):
        x, z = pose["x"][:, frame], pose["z"][:, frame]
        there = objects_at(world, torch.floor(x / CELL).int()[:, None], torch.floor(z / CELL).int()[:, None])
        away = torch.hypot(there.x[:, 0] - x, there.z[:, 0] - z)
        assert (away > (there.solid + 0.5 * motion.CLEARANCE)[:, 0])[there.size[:, 0] > 0].all()


def test_a_runner_always_runs_and_bobs():
    _, pose = play("templerun", ((), 37))
    ahead, aside = gone(pose, 0, 36)
    assert torch.allclose(ahead, torch.tensor(36 * motion.RUN_SPEED), atol=1e-3)
    assert torch.allclose(aside, torch.tensor(0.0), atol=1e-3)
    assert pose["eye"].std(1).min() > 0.02
    assert torch.allclose(pose["eye"][:, 0], pose["eye"][:, 12]), "every block alike"


def test_a_jump_is_one_arc_of_twelve_frames_whatever_else_is_pressed():
    _, short = play("templerun", ((), 3), (["jump"], 2), (["turn_left"], 3), ((), 12))
    height = short["eye"][:, 3:] - motion.EYE["templerun"]
    assert height[:, 6].min() == pytest.approx(motion.JUMP, abs=0.01)
    assert (height[:, 1:12] > 0.2).all() and (height[:, 12:].abs() < 0.06).all()
    assert (short["yaw"] == short["yaw"][:, :1]).all()


def test_a_slide_lasts_as_long_as_it_is_held():
    _, pose = play("templerun", (["slide"], 24), ((), 10))
    low = motion.EYE["templerun"] - motion.DUCK
    assert torch.allclose(pose["eye"][:, motion.REACT : 25], torch.tensor(low), atol=1e-5)
    assert (pose["eye"][:, 30:] > 0.9).all()


@pytest.mark.parametrize("key, sign", [("left", -1), ("right", 1)])
def test_a_step_aside_stays_upon_the_causeway_and_comes_back(key, sign):
    _, pose = play("templerun", ((), 12), ([key], 36), ((), 12))
    _, out = gone(pose, 12, 40)
    assert torch.allclose(sign * out, torch.tensor(motion.STEP), atol=0.06)
    assert motion.STEP < CAUSEWAY - 0.3
    assert gone(pose, 12, 59)[1].abs().max() < 0.06


@pytest.mark.parametrize("key, sign", [("turn_left", -1), ("turn_right", 1)])
def test_a_turn_is_a_right_angle_in_one_block_and_ends_in_the_middle_of_the_causeway(key, sign):
    _, pose = play("templerun", ((), 6), ([key], 12), ((), 12))
    turned = pose["yaw"][:, 18] - pose["yaw"][:, 6]
    assert torch.allclose(turned, torch.tensor(sign * math.pi / 2), atol=1e-4)
    assert (pose["yaw"][:, 18:] == pose["yaw"][:, 18:19]).all()
    ahead, aside = gone(pose, 6, 18)
    assert torch.allclose(ahead, torch.tensor(motion.RADIUS), atol=0.03)
    assert torch.allclose(sign * aside, torch.tensor(motion.RADIUS), atol=0.03)
    off = (pose["base_x"] - pose["new_x"]) * pose["new_yaw"].cos()
    off -= (pose["base_z"] - pose["new_z"]) * pose["new_yaw"].sin()
    assert off[:, 18:].abs().max() < 1e-3


@pytest.mark.parametrize("mode", MODES)
def test_what_is_done_now_follows_from_the_last_keys(mode):
    """Whatever was done before, a second of one key leads to the same speed, height and lock."""
    generator = torch.Generator().manual_seed(5)
    world = motion.sample_worlds(COUNT, generator, mode=mode)
    keyboard, mouse = motion.sample_actions(COUNT, 81, generator, mode)
    keyboard[:, 55:], mouse[:, 55:] = keyboard[:1, 55:56], mouse[:1, 55:56]
    poses = motion.integrate(world, motion.sample_start(world, generator), keyboard, mouse)[:, -1]
    pose = dict(zip(motion.POSE[mode], poses.unbind(-1), strict=True))
    for name in {"speed", "steer", "side", "low"} & pose.keys():
        assert torch.allclose(pose[name], pose[name][0], atol=1e-5), name
