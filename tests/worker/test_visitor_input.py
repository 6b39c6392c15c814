"""From what is held to the actions of blocks, made once and made again."""

import numpy as np
import pytest

from mgdemo.actions import MODES, ActionTrack
from mgdemo.worker.input import Input


def names(track):
    """What is held in each row."""
    mice = [None] * len(track) if track.mouse is None else track.mouse
    return [MODES[track.mode].held(*row) for row in zip(track.keyboard, mice, strict=True)]


def sample(visitor, mode="universal"):
    track = visitor.sample(mode, 12)
    assert len(set(names(track))) == 1
    return track


def test_what_is_held_lasts_and_what_is_tapped_counts_once():
    visitor = Input()
    visitor.set(("KeyW",), (0, 0), 1)
    visitor.set(("KeyW", "KeyD"), (0, 0), 2)
    visitor.set(("KeyW",), (0, 0), 3)
    assert visitor.input_seq == 3
    assert names(sample(visitor))[0] == ("forward", "right")
    assert names(sample(visitor))[0] == ("forward",)
    visitor.release()
    assert names(sample(visitor))[0] == ()


def test_a_glance_counts_once_and_the_camera_that_moves_as_long_as_it_does():
    visitor = Input()
    visitor.set((), (0.05, 0.2), 1)
    visitor.set((), (0, 0), 2)
    assert sample(visitor).mouse[0] == pytest.approx([0.05, 0.2])
    assert not sample(visitor).mouse.any()
    visitor.set((), (0, -0.2), 3)
    for _ in range(2):
        assert sample(visitor).mouse[0] == pytest.approx([0, -0.2])


def test_a_press_and_a_release_make_a_difference_and_a_tap_goes_on():
    visitor = Input()
    made = sample(visitor)
    assert not visitor.differs(made)
    visitor.set(("KeyW",), (0, 0), 1)
    assert visitor.differs(made)
    rest = visitor.resample("universal", 8)
    assert names(rest) == [("forward",)] * 8
    made = ActionTrack.concat([made.frames(0, 4), rest])
    assert not visitor.differs(made)
    visitor.set((), (0, 0), 2)
    assert visitor.differs(made)
    visitor.set(("KeyA",), (0, 0), 3)
    visitor.set((), (0, 0), 4)
    made = visitor.resample("universal", 4)
    assert names(made)[0] == ("left",)
    assert not visitor.differs(made)  # though nothing is held: the tap lasts to the block's end
    assert names(sample(visitor))[0] == ()


def test_a_tap_counts_also_when_its_release_is_heard_before_a_frame_of_it_is_shown():
    visitor = Input()
    sample(visitor)
    visitor.set(("KeyW",), (0, 0), 1)
    visitor.resample("universal", 8)
    visitor.set((), (0, 0), 2)
    made = visitor.resample("universal", 8)  # from the same frame on
    assert names(made) == [("forward",)] * 8
    assert not visitor.differs(made)
    assert names(visitor.resample("universal", 4)) == [("forward",)] * 4
    assert names(sample(visitor))[0] == ()
    visitor.set(("KeyA",), (0, 0), 3)
    visitor.resample("universal", 8)
    visitor.set((), (0, 0), 4)
    assert names(visitor.resample("universal", 4))[0] == (), "it was seen for four frames"


def test_slight_camera_movements_make_no_difference():
    visitor = Input()
    visitor.set((), (0, 0.1), 1)
    made = sample(visitor)
    visitor.set((), (0, 0.11), 2)
    assert not visitor.differs(made)
    visitor.set((), (0, 0.2), 3)
    assert visitor.differs(made)


def test_a_single_action_goes_on_until_another_is_pressed():
    visitor = Input()
    visitor.set(("KeyW",), (0, 0), 1)
    made = sample(visitor, "templerun")
    visitor.set((), (0, 0), 2)
    assert not visitor.differs(made)
    visitor.set(("KeyA",), (0, 0), 3)
    assert visitor.differs(made)
    assert names(visitor.resample("templerun", 4)) == [("left",)] * 4
    visitor.set((), (0, 0), 4)
    assert np.array_equal(sample(visitor, "templerun").keyboard[0], MODES["templerun"].frame([])[0])
