"""Actions of one mode in another."""

from itertools import permutations

import numpy as np
import pytest

from mgdemo.actions import MODES, ActionTrack
from mgdemo.compare.translate import MEANINGS, Lost, by_key, by_meaning, translate


def track(mode, *parts):
    return ActionTrack.concat([ActionTrack.hold(mode, held, frames=n) for held, n in parts])


def held(track):
    mode = MODES[track.mode]
    return [
        (mode.held(track.keyboard[a], None if track.mouse is None else track.mouse[a]), b - a)
        for a, b in track.runs()
    ]


@pytest.mark.parametrize("source, target", list(permutations(MODES, 2)))
def test_every_control_is_translated_or_said_to_be_lost(source, target):
    for control in MODES[source].controls:
        made = translate(track(source, ([control.name], 12)), target)
        other = by_meaning(source, target).get(control.name)
        if other is None:
            assert made.lost == (Lost(control.name, 0, 12),) and held(made.track) == [((), 12)]
        else:
            assert made.lost == () and held(made.track) == [((other,) if other else (), 12)]
        assert len(made.track) == 12


def test_meanings_name_controls_that_there_are_each_once():
    for mode in MODES:
        named = [names[mode] for names in MEANINGS.values() if names.get(mode)]
        assert sorted(named) == sorted(control.name for control in MODES[mode].controls)


@pytest.mark.parametrize("source, target", [("universal", "gta_drive"), ("gta_drive", "universal")])
def test_what_has_a_counterpart_survives_there_and_back(source, target):
    names = list(by_meaning(source, target))
    there = translate(track(source, *[([name], 6) for name in names]), target)
    back = translate(there.track, source)
    assert not there.lost and not back.lost
    assert held(back.track) == [((name,), 6) for name in names]


def test_the_camera_turns_as_far_as_it_was_turned():
    made = translate(ActionTrack.hold("universal", ["forward"], (0.0, -0.25), 5), "gta_drive")
    assert np.allclose(made.track.mouse, [0, -0.25]) and (made.track.keyboard[:, 0] == 1).all()


def test_a_long_turn_is_one_corner_for_a_runner():
    made = translate(
        track("gta_drive", (["accelerate", "steer_left"], 40), (["accelerate"], 20)), "templerun"
    )
    assert held(made.track) == [(("turn_left",), 12), ((), 48)] and made.lost == ()


def test_of_two_things_at_once_a_runner_does_the_first_and_the_other_is_counted():
    made = translate(track("universal", (["left", "look_left"], 8)), "templerun")
    assert held(made.track) == [(("left",), 8)]
    assert made.lost == (Lost("look_left", 0, 8),) and made.lost_frames == 8


def test_by_key_the_same_keys_are_pressed():
    assert by_key("universal", "gta_drive") == {
        "forward": "accelerate", "back": "brake", "left": "steer_left", "right": "steer_right",
    }  # fmt: skip
    made = translate(track("universal", (["left"], 4), (["look_left"], 3)), "gta_drive", by="key")
    assert held(made.track) == [(("steer_left",), 4), ((), 3)]
    assert made.lost == (Lost("look_left", 4, 7),)


def test_a_mode_s_own_track_is_left_alone():
    mine = track("templerun", (["jump"], 12))
    assert translate(mine, "templerun").track is mine
