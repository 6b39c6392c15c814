"""What a session can do next: from what its visitor does to its turn in the schedule."""

import math

from PIL import Image

from benchmarks import stub_world
from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.worker.pace import UNACKNOWLEDGED
from mgdemo.worker.schedule import Job
from mgdemo.worker.sessions import AUDIENCE, Playing

IMAGE = Image.new("RGB", (60, 40))


def started(mode="universal", track=None, now=0.0):
    model = stub_world.load_small(f"{mode}-0", device="cpu")
    return Playing(m.Open(session="a", checkpoint=mode, image=IMAGE, track=track), model, None, now, 10**8)


def make(play, blocks=1):
    """Makes the next blocks, as a worker does; the player gets them at once."""
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
    return play.turn(now, regenerates=True).splice


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
