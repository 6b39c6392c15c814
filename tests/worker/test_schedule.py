"""Which job is done when."""

import math
from dataclasses import replace

import pytest
from PIL import Image

from benchmarks import stub_world
from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.settings import Settings
from mgdemo.video.encode import live_encoder
from mgdemo.worker.pace import Splice
from mgdemo.worker.schedule import MARGIN, PATIENCE, Decision, Job, Turn, decide
from mgdemo.worker.sessions import Playing


def live(session, due, cost=0.1, first=None, splice=None):
    """splice: until when its last block can be regenerated from frame 21 on."""
    found = None if splice is None else Splice(21, splice)
    return Turn(session, due=due, first=first or cost, cost=cost, longest=cost, splice=found)


def scenario(session, served, cost=0.3, opens=-math.inf):
    return Turn(session, longest=cost, served=served, opens=opens)


def chosen(turns, now):
    decision = decide(turns, now)
    return decision.session, decision.start


def test_nothing_to_do_means_waiting():
    assert decide([], 0) == Decision(math.inf)


def test_a_block_begins_just_in_time():
    assert decide([live("a", due=10)], 0) == Decision(pytest.approx(10 - MARGIN - 0.1), "a", Job.BLOCK)


def test_a_block_begins_in_time_for_its_first_picture_not_for_its_last():
    turns = [live("a", due=10, cost=0.3, first=0.1)]
    assert chosen(turns, 0) == ("a", pytest.approx(10 - MARGIN - 0.1))
    turns.append(live("b", due=10))  # has to wait until all of it is done
    assert chosen(turns, 0) == ("a", pytest.approx(10 - MARGIN - 0.1 - 0.3))


def test_sessions_that_run_dry_together_begin_early_enough_for_both():
    turns = [live("a", due=10.05, cost=0.2), live("b", due=10.0), live("c", due=12.0)]
    # a must begin at 9.82, so b, which is due first, at 9.72 and not at 9.87
    assert chosen(turns, 0) == ("b", pytest.approx(10.05 - MARGIN - 0.2 - 0.1))


def test_the_session_that_runs_dry_first_comes_first_when_all_are_late():
    assert chosen([live("a", due=5, cost=1), live("b", due=4, cost=1)], 20)[0] == "b"


def test_scenarios_fill_the_gaps_and_take_turns():
    turns = [live("live", due=10), scenario("one", served=9.2), scenario("other", served=9.1)]
    assert chosen(turns, 9.3) == ("other", 9.3)
    assert chosen(turns, 9.7) == ("live", pytest.approx(10 - MARGIN - 0.1)), "theirs would end too late now"
    assert chosen(turns, 9.1 + PATIENCE + 0.1)[0] == "other", "but none waits without an end"


def test_a_scenario_that_has_just_begun_is_not_in_a_hurry():
    model = stub_world.load_small("universal", device="cpu")
    order = m.Open(
        session="new",
        checkpoint="universal",
        image=Image.new("RGB", (60, 40)),
        seed=0,
        track=ActionTrack.hold("universal", [], None, 45),
    )
    new = Playing(order, model, live_encoder(*model.size[::-1], model.fps, None), Settings(), now=9.9)
    new.attach(jpeg=False)
    assert chosen([new.turn(9.95, True)], 9.95) == ("new", 9.95)
    assert chosen([live("live", due=10), new.turn(9.95, True)], 9.95)[0] == "live"
    assert chosen([live("live", due=10), new.turn(9.95, True)], 9.95 + PATIENCE)[0] == "new"


def test_what_nobody_watches_only_fills_the_gaps_however_long_it_waits():
    run = Turn("run", longest=0.3, served=0.0, background=True)
    assert chosen([live("live", due=10), run], 9.3) == ("run", 9.3)
    assert chosen([live("live", due=10), run], 9.7)[0] == "live"
    assert chosen([live("live", due=9.0), run], 9.7)[0] == "live", "which is late already"
    assert chosen([scenario("watched", served=9.0), run], 9.3)[0] == "watched"


def test_rewinding_takes_turns_with_scenarios():
    rewinding = Turn("rewinding", Job.REPEAT, longest=0.3, served=9.0)
    turns = [live("live", due=10), scenario("one", served=9.1), rewinding]
    assert decide(turns, 9.3) == Decision(9.3, "rewinding", Job.REPEAT)
    assert decide(turns[:2], 9.3) == Decision(9.3, "one", Job.BLOCK)


def test_a_scenario_waits_a_moment_for_its_visitor():
    turns = [scenario("one", served=-math.inf, opens=2.0)]
    assert decide(turns, 1.0) == Decision(2.0)
    assert chosen(turns, 2.0) == ("one", 2.0), "nobody came"
    turns.append(live("live", due=1.5))
    assert chosen(turns, 1.0) == ("live", pytest.approx(1.5 - MARGIN - 0.1))
    turns[1] = live("live", due=2.5)
    assert decide(turns, 1.0) == Decision(2.0), "which is looked at again before"


def test_a_block_is_regenerated_only_while_all_sessions_are_in_time():
    turns = [live("live", due=10, splice=9.6), live("other", due=9.72)]
    assert decide(turns, 9.4) == Decision(9.4, "live", Job.REGENERATE, 21)
    assert decide(turns, 9.55).session == "other"
    assert chosen([live("slow", due=10, cost=0.5, splice=9.6)], 9.4)[1] == pytest.approx(10 - MARGIN - 0.5)


def test_a_block_in_the_way_of_a_key_is_made_at_once():
    key, other = live("live", due=10, splice=9.6), live("other", due=9.72)
    assert decide([key, other], 9.55) == Decision(9.55, "other", Job.BLOCK)
    assert decide([key, other], 9.65) == Decision(pytest.approx(9.72 - MARGIN - 0.1), "other", Job.BLOCK)
    own = live("other", due=9.72, splice=9.58)
    made = Decision(9.55, "other", Job.BLOCK)
    assert decide([live("live", due=10), own], 9.55) == made, "the next block obeys its key"
    run = Turn("run", longest=0.01, served=0.0)
    assert decide([key, other, run], 1.0).job is Job.REGENERATE
    assert decide([key, other, replace(run, served=9.5)], 9.55).session == "other"


def test_of_several_sessions_blocks_are_made_early_while_the_device_idles_much():
    turns = [live("a", due=10), live("b", due=10.3)]
    early = 10 - MARGIN - 0.1 - 2 * 0.1
    assert chosen(turns, 9) == ("a", pytest.approx(early))
    assert chosen(turns, 9.8) == ("a", 9.8), "at once, then"
    run = Turn("run", longest=0.05, served=9.0)
    assert chosen([*turns, run], 9.8)[0] == "run", "what is not urgent has all the time that it had"
    assert chosen([*turns, live("c", due=10.5)], 9)[1] == pytest.approx(10 - MARGIN - 0.1), "no idle time"
    assert chosen(turns[:1], 9)[1] == pytest.approx(10 - MARGIN - 0.1), "alone it meets no other's key"


def test_of_two_keys_the_one_comes_first_whose_chance_ends_first():
    turns = [live("late", due=9.9, splice=9.6), live("soon", due=10.0, splice=9.5)]
    assert decide(turns, 9.4) == Decision(9.4, "soon", Job.REGENERATE, 21)


def test_regenerating_comes_before_scenarios():
    turns = [live("live", due=10, splice=9.6), scenario("one", served=9.1)]
    assert decide(turns, 9.3).job is Job.REGENERATE


def test_a_job_with_little_patience_gets_its_turn_between_live_blocks():
    live = Turn("live", due=10.1, first=0.05, cost=0.1, longest=0.1, served=9.9)
    restored = Turn("restored", Job.REPEAT, longest=0.4, served=9.5, patience=0.4)
    assert decide([live, restored], 9.8).session == "live", "there is no time for it before"
    assert decide([live, restored], 9.95) == Decision(9.95, "restored", Job.REPEAT)
