"""The small models of motion say what the training's own say."""

import numpy as np
import pytest
import torch

from benchmarks import runs
from mgdemo.actions import MODES
from mgdemo.measure.camera import AXES
from mgdemo.measure.expected import expected_motion, poses
from mgdemo.measure.returns import loops
from mgdemo.measure.speeds import JUMP
from tests.support.true_clips import PARTS, track_of


@pytest.mark.parametrize("mode", ("universal", "gta_drive"))
def test_dead_reckoning_is_where_the_training_s_camera_goes(mode):
    track = track_of(mode, PARTS[mode])
    starts = runs.Starts.draw(mode, 4, seed=5)
    true = starts.poses_along(0, [track])[0].double()
    yaw = float(true[0, 2])
    away = true[:, :2] - true[0, :2]
    right = away[:, 0] * np.cos(yaw) - away[:, 1] * np.sin(yaw)
    ahead = away[:, 0] * np.sin(yaw) + away[:, 1] * np.cos(yaw)
    turned = true[:, 2:4] - true[0, 2:4]
    mine = torch.tensor(poses(track))
    assert torch.allclose(mine, torch.cat([torch.stack([right, ahead], 1), turned], 1), atol=0.02)


def test_a_jump_goes_up_and_down_again():
    motion = expected_motion(track_of("templerun", [("", 12), ("jump", 24)]))
    rise = motion[:, list(AXES["templerun"]).index("rise")]
    assert rise[12] > 2 and rise[23] < -2 and np.abs(rise[:12]).max() == 0
    assert rise[12:24].sum() == pytest.approx(0, abs=1e-9)


def test_ground_seems_slower_from_above_and_says_nothing_in_a_fast_rise():
    motion = expected_motion(track_of("templerun", [("", 12), ("jump", 12), ("", 12), ("slide", 12)]))
    ahead = motion[:, list(AXES["templerun"]).index("ahead")]
    assert (ahead[:12] == 1).all() and (ahead[24:36] == 1).all()
    assert np.isnan(ahead[12:15]).all() and np.isnan(ahead[21:24]).all()
    assert ahead[17] == pytest.approx(1 / (1 + JUMP), abs=0.01), "at the top"
    assert ahead[46] == 1, "ducked, no more than running is asked for"


@pytest.mark.parametrize("mode", MODES)
def test_nothing_held_expects_nothing_of_a_mode_that_stands(mode):
    motion = expected_motion(track_of(mode, [("", 20)]))
    assert motion.shape == (19, len(AXES[mode]))
    assert (np.nan_to_num(motion) == 0).all() == MODES[mode].stands


@pytest.mark.parametrize(
    "parts, expected",
    [
        ([("forward", 24), ("back", 24), ("", 9)], [(0, 48)]),
        ([("look_left", 30), ("look_right", 30), ("look_right", 30), ("look_left", 31)], [(0, 60), (0, 120)]),
        ([("forward", 30)], []),
        ([("", 30)], []),
        ([("forward", 5), ("back", 5)], []),
    ],
)
def test_returns_are_found_without_being_marked(parts, expected):
    assert loops(track_of("universal", parts)) == expected
