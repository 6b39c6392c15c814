"""What a session can do next: from what its visitor does to its turn in the schedule."""

import math

import pytest
from PIL import Image

from benchmarks import stub_world
from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.settings import Settings
from mgdemo.worker.pace import UNACKNOWLEDGED
from mgdemo.worker.schedule import Job
from mgdemo.worker.sessions import AUDIENCE, Playing

IMAGE = Image.new("RGB", (60, 40))


def started(mode="universal", track=None, now=0.0, **settings):
    model = stub_world.load_small(f"{mode}-0", device="cpu")
    order = m.Open(session="a", checkpoint=mode, image=IMAGE, track=track)
    return Playing(order, model, None, Settings(**settings), now)


def make(play, blocks=1):
    """Makes the next blocks, as a worker does; the player has shown them at once."""
    for _ in range(blocks):
        making = play.begin(0.0)
        list(making.pieces)
        play.history.tree.add(making.actions)
        play.pace.delivered(len(making.actions), 0.0, 0.0)
        play.pace.acknowledge(play.pace.blocks - 1, 0.0, 0.0)
        play.making = None


def playing(blocks=3, *, dry=10.0, cost=0.1, mode="universal"):
    """A live session whose player has so many blocks and runs dry at `dry`; KeyW was held in all of them."""
    play = started(mode)
    play.player.attached = True
    play.input.set(("KeyW",), (0, 0), 1)
    make(play, blocks)
    play.pace.dry = dry
    play.pace.first.add(cost)
    play.pace.cost.add(cost)
    return play


def splice(play, now):
    found = play.turn(now, regenerates=True).splice
    return found and found.frame


def test_a_live_session_needs_its_player():
    play = started()
    assert play.turn(0, True) is None
    play.player.attached = True
    turn = play.turn(0, True)
    assert (turn.session, turn.job, turn.due) == ("a", Job.BLOCK, -math.inf)
    play.begin(0.0)
    assert play.turn(0, True) is None, "its block is in the making"


def test_a_scenario_waits_a_moment_for_its_player_but_only_at_its_start():
    play = started(track=ActionTrack.hold("universal", [], None, 21), now=5.0)
    assert (play.turn(5, True).opens, play.turn(5, True).due) == (5 + AUDIENCE, None)
    play.player.attached = True
    assert play.turn(5, True).opens == -math.inf
    play.player.attached = False
    make(play)
    assert play.turn(5, True).opens == -math.inf and not play.finished
    make(play)
    assert play.finished


def test_a_visitor_who_does_not_acknowledge_is_waited_for():
    play = playing()
    play.pace.acknowledged = play.pace.blocks - UNACKNOWLEDGED
    assert play.turn(0, True) is not None
    play.pace.acknowledged -= 1
    assert play.turn(0, True) is None


def test_a_pause_leaves_only_single_steps():
    play = playing()
    play.pausing.on = True
    assert play.turn(0, True) is None
    play.pausing.steps = 1
    assert play.turn(0, True) is not None
    make(play)
    assert play.turn(0, True) is None


def test_a_block_is_regenerated_from_the_next_latent_frame_that_can_be_in_time():
    play = playing()  # block 2 plays from 9.52 on, its latent frames begin there, at 9.68 and at 9.84
    assert splice(play, 9.3) is None, "nothing has changed"
    play.input.set(("KeyS",), (0, 0), 2)
    times = {9.41: 21, 9.43: 25, 9.57: 25, 9.59: 29, 9.73: 29, 9.75: None, 9.9: None}
    assert {now: splice(play, now) for now in times} == times
    until = play.turn(9.4, regenerates=True).splice.until
    assert until == play.turn(9.41, regenerates=True).splice.until, "whenever it is asked"
    assert (splice(play, until), splice(play, until + 1e-6)) == (21, 25)
    assert play.turn(9.4, regenerates=False).splice is None
    play.pausing.on, play.pausing.steps = True, 1
    assert splice(play, 9.4) is None
    play.pausing.on = False
    play.world.block = 0  # as when it has just been restored
    assert splice(play, 9.4) is None
    play.world.block = 3
    play.input.set(("KeyW",), (0, 0), 3)
    assert splice(play, 9.4) == 21, "it was let go for a moment"


def test_the_first_block_has_a_shorter_first_latent_frame():
    play = playing(blocks=1)
    play.input.set(("KeyS",), (0, 0), 2)  # it plays from 9.64 on
    assert (splice(play, 9.0), splice(play, 9.6)) == (1, 1 + 4)


def test_nothing_is_regenerated_once_nothing_is_on_its_way():
    play = playing()
    play.input.set(("KeyS",), (0, 0), 2)
    play.reset_to_head()
    play.pace.dry = 10
    assert splice(play, 9.4) is None


def test_a_regenerated_block_obeys_the_newer_input_from_the_splice_on():
    play = playing()
    play.input.set(("KeyS",), (0, 0), 2)
    head = play.history.tree.head
    play.regenerate(25)
    tree = play.history.tree
    assert (tree.head, tree.blocks, tree.frames) == (head, 3, 33)
    forward, back = tree[head].actions.keyboard[:, 0], tree[head].actions.keyboard[:, 1]
    assert (list(forward), list(back)) == ([1] * 4 + [0] * 8, [0] * 4 + [1] * 8)


# Standing: a picture that nobody moves is left alone


def idling(blocks, mode="universal", **settings):
    """A live session in which nothing was held for so many blocks."""
    play = started(mode, **settings)
    play.player.attached = True
    make(play, blocks)
    return play


@pytest.mark.parametrize("mode", ["universal", "gta_drive"])
def test_after_a_second_without_any_action_no_more_blocks_are_made(mode):
    play = idling(1, mode)
    assert play.turn(0, True) is not None and not play.begins_to_stand(0)
    make(play)
    assert play.turn(0, True) is None
    assert (play.begins_to_stand(0), play.begins_to_stand(0)) == (True, False), "which is told once"


@pytest.mark.parametrize(
    "play", [idling(9, "templerun"), idling(9, stand_seconds=0), idling(5, stand_seconds=3)]
)
def test_some_pictures_never_stand_or_later(play):
    assert play.turn(0, True) is not None and not play.begins_to_stand(0)


def test_a_scenario_that_holds_nothing_does_what_it_says():
    play = started(track=ActionTrack.hold("universal", [], None, 12 * 9 - 3))
    play.player.attached = True
    make(play, 8)
    assert play.turn(0, True) is not None and not play.begins_to_stand(0)


@pytest.mark.parametrize(
    ("held", "camera"),
    [(("KeyW",), (0, 0)), (("ArrowLeft",), (0, 0)), ((), (0.0, 0.01)), (("KeyI",), (0, 0))],
)
def test_the_first_control_wakes_it_also_a_tap_or_a_glance(held, camera):
    for tap in (False, True):
        play = idling(2)
        assert play.begins_to_stand(0)
        play.input.set(held, camera, 1)
        if tap:
            play.input.set((), (0, 0), 2)
        assert play.turn(0, True) is not None and not play.begins_to_stand(0)
        make(play)
        assert play.turn(0, True) is not None, "the picture has moved"
        play.input.set((), (0, 0), 3)
        make(play, 2)
        assert play.turn(0, True) is None and play.begins_to_stand(0), "and stands again"


@pytest.mark.parametrize("held", [("F5",), ("KeyJ", "KeyL")])
def test_what_is_no_action_does_not_wake_it(held):
    play = idling(2)
    play.input.set(held, (0, 0), 1)
    assert play.turn(0, True) is None


def test_a_step_makes_one_block_of_a_picture_that_stands():
    play = idling(2)
    assert play.begins_to_stand(0)
    play.pausing.steps += 1
    assert play.turn(0, True) is not None and not play.begins_to_stand(0)
    make(play)
    assert play.turn(0, True) is None and play.begins_to_stand(0), "told again, after its block"


def test_a_step_is_made_also_when_the_player_has_run_dry_long_ago():
    play = idling(2)
    play.pace.dry = 10.0
    assert play.begins_to_stand(9.0)
    play.pausing.steps += 1
    assert not play.begins_to_stand(30.0)
    assert play.turn(30.0, True) is not None


def test_a_pause_and_its_end_leave_it_standing():
    play = idling(2)
    assert play.begins_to_stand(0)
    play.pausing.on = True
    assert not play.begins_to_stand(0)
    play.pausing.on = False
    assert play.turn(0, True) is None and play.begins_to_stand(0)


def test_a_key_that_comes_while_the_last_block_is_still_shown_regenerates_it():
    play = idling(3, stand_seconds=1)
    play.pace.dry = 10.0
    assert play.begins_to_stand(9.0) and play.turn(9.4, True) is None
    play.input.set(("KeyW",), (0, 0), 1)
    assert not play.begins_to_stand(9.4)
    assert splice(play, 9.4) == 21


def test_the_first_block_after_standing_is_not_late():
    play = idling(2)
    play.pace.dry = 10.0
    assert play.begins_to_stand(9.0)
    play.input.set(("KeyW",), (0, 0), 1)
    assert not play.begins_to_stand(30.0)
    assert play.turn(30.0, True).due == -math.inf and play.pace.late(30.1) == 0
