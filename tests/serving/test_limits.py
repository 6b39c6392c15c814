"""Who has to end for whom, when a turn comes, and what ends a session."""

import math
from dataclasses import replace

import pytest

from mgdemo.serving.limits import (
    Facts,
    Place,
    Plan,
    QueueTurn,
    Waiter,
    duration,
    ending,
    full,
    plan,
    queue_text,
    roughly,
)
from mgdemo.settings import Settings

SETTINGS = Settings(idle_seconds=300, reconnect_seconds=30, connect_seconds=10, record_seconds=600)


def places(*began, **fields):
    return [Place(f"p{i}", "", at, **fields) for i, at in enumerate(began)]


def waiters(*since):
    return [Waiter(f"w{i}", "", at) for i, at in enumerate(since)]


def test_nobody_has_to_end_while_nobody_waits():
    assert plan(places(0, 5), [], 300, 30).ends == {}


def test_for_each_who_waits_the_session_that_began_first_has_to_end():
    got = plan(places(50, 10, 30), waiters(60, 70), 300, 30)
    assert got.ends == {"p1": 310, "p2": 330}
    assert got.turns == {"w0": QueueTurn(1, 310), "w1": QueueTurn(2, 330)}


def test_who_has_played_for_long_keeps_a_last_half_minute():
    assert plan(places(0), waiters(1000), 300, 30).ends == {"p0": 1030}


def test_every_position_has_a_wait_of_its_own():
    got = plan(places(0, 100), waiters(150, 150, 150, 150, 150), 300, 30)
    assert [got.turns[f"w{i}"].at for i in range(5)] == [300, 400, 600, 700, 900]
    texts = [queue_text(got.turns[f"w{i}"], 200) for i in range(5)]
    assert len(set(texts)) == 5
    assert texts[0] == "You're next in the queue; your turn comes in about 100 seconds."
    assert texts[1] == "You're number 2 in the queue; your turn comes in about 3 minutes."


def test_scenarios_have_to_end_for_others_too_and_their_own_end_counts():
    long, short = places(0, expected=900), places(0, expected=90)
    assert plan(long, waiters(10), 300, 30) == Plan({"w0": QueueTurn(1, 300)}, {"p0": 300})
    assert plan(short, waiters(10), 300, 30).turns == {"w0": QueueTurn(1, 90)}
    behind = [Waiter("w0", "", 10, lasts=40), Waiter("w1", "", 11, lasts=900), Waiter("w2", "", 12)]
    got = plan(short, behind, 300, 30)
    assert [got.turns[f"w{i}"].at for i in range(3)] == [90, 130, 430]


def test_without_a_limit_nobody_ends():
    got = plan(places(0), waiters(10), 0, 30)
    assert got.ends == {} and math.isinf(got.turns["w0"].at)
    assert queue_text(got.turns["w0"], 20) == "You're next in the queue."


def test_nobody_is_told_to_wait_for_himself():
    mine, yours = Waiter("w0", "me", 1), Waiter("w1", "you", 2)
    got = plan([Place("p0", "me", 0)], [mine, yours], 300, 30)
    assert "Your own session on the other tab" in queue_text(got.turns["w0"], 5)
    assert "own" not in queue_text(got.turns["w1"], 5)
    behind = plan([Place("p0", "me", 0)], [yours, mine], 300, 30)
    assert "own" not in queue_text(behind.turns["w0"], 5), "it waits for another first"
    unknown = plan([Place("p0", "", 0)], [Waiter("w0", "", 1)], 300, 30)
    assert "own" not in queue_text(unknown.turns["w0"], 5)


@pytest.mark.parametrize(
    ("free", "waiting", "words"),
    [
        (True, 0, None),
        (False, 1, None),
        (True, 2, None),
        (False, 2, "2 visitors are already waiting: try again in a few minutes."),
    ],
)
def test_a_full_queue(free, waiting, words):
    refusal = full(free, waiting, 0, Settings(queue=2))
    assert (refusal and refusal.text) == words


def test_a_visitor_has_a_share_of_the_places():
    two, one = (full(True, 0, n, Settings(visitor_sessions=n)).text for n in (2, 1))
    counted = "running or waiting (counted by login or address)"
    assert two == f"You already have 2 sessions {counted}: stop one, then press Start again."
    assert one == f"You already have 1 session {counted}: stop it, then press Start again."
    assert full(True, 0, 1, Settings()) is full(True, 0, 99, Settings(visitor_sessions=0)) is None


def test_the_words_of_a_full_queue_fit_the_number():
    assert full(False, 1, 0, Settings(queue=1)).text.startswith("1 visitor is already waiting")
    assert full(False, 0, 0, Settings(queue=0)).text.startswith("All places are taken")


def test_the_idle_clock_needs_a_world():
    assert ending(Facts(live=True, met=True), SETTINGS, 10_000) is None
    assert ending(Facts(live=True, met=True, active=9_701), SETTINGS, 10_000) is None
    outcome, text = ending(Facts(live=True, met=True, active=9_699), SETTINGS, 10_000)
    assert outcome == "ended" and text.startswith("Nothing was pressed for 5 minutes.")


def test_who_rests_ends_only_when_others_wait():
    resting = Facts(live=True, met=True, active=0, idle_allowed=True)
    assert ending(resting, SETTINGS, 10_000) is None
    crowded = Facts(live=True, met=True, active=0, idle_allowed=True, crowded=True)
    assert "Nothing was pressed" in ending(crowded, SETTINGS, 10_000)[1]


@pytest.mark.parametrize("live", [True, False])
def test_a_page_that_was_there_is_waited_for(live):
    gone = Facts(live=live, met=True, away_since=100)
    assert ending(gone, SETTINGS, 129) is None
    assert "connection to your page was lost" in ending(gone, SETTINGS, 131)[1]


@pytest.mark.parametrize("live", [True, False])
def test_a_page_that_never_came_is_waited_for_less_long(live):
    never = Facts(live=live, away_since=100)
    assert ending(never, SETTINGS, 109) is None
    assert ending(never, SETTINGS, 111)[0] == "error"


def test_a_run_without_a_page_waits_for_none():
    assert ending(Facts(live=False, watched=False, away_since=100), SETTINGS, 10_000) is None


def test_a_scenario_ends_when_its_time_is_up_and_not_when_nothing_is_pressed():
    assert ending(Facts(live=False, met=True, active=0, ends=10_001), SETTINGS, 10_000) is None
    outcome, text = ending(Facts(live=False, met=True, ends=9_999), SETTINGS, 10_000)
    assert outcome == "ended" and text.startswith("Your time is up")


@pytest.mark.parametrize("live", [True, False])
def test_a_world_that_loads_has_to_make_room_too(live):
    assert ending(Facts(live, met=True, loading_since=9_000), SETTINGS, 10_000) is None
    outcome, text = ending(Facts(live, met=True, loading_since=9_000, ends=9_999), SETTINGS, 10_000)
    assert outcome == "ended" and "your world has not loaded yet. Press Start" in text
    given = replace(SETTINGS, load_seconds=600, worker_timeout_seconds=300)
    assert ending(Facts(live, met=True, loading_since=8_801), given, 10_000) is None
    outcome, text = ending(Facts(live, met=True, loading_since=8_799), given, 10_000)
    assert outcome == "error" and text.startswith("Your world did not load in time.")
    assert ending(Facts(live, met=True, loading_since=0), replace(given, load_seconds=0), 10_000) is None


@pytest.mark.parametrize("seconds", range(20, 4000, 7))
def test_an_estimate_in_words_is_at_most_a_quarter_off(seconds):
    count, unit = roughly(seconds).split()
    assert int(count) * {"seconds": 1, "minutes": 60}[unit] == pytest.approx(seconds, rel=0.25)


def test_time_and_recording_have_an_end():
    outcome, text = ending(Facts(live=True, met=True, ends=99), SETTINGS, 100)
    assert outcome == "ended" and text.startswith("Your time is up, since others are waiting.")
    assert ending(Facts(live=True, met=True, ends=101, seconds_recorded=599), SETTINGS, 100) is None
    assert (
        "its limit of 10 minutes" in ending(Facts(live=True, met=True, seconds_recorded=600), SETTINGS, 0)[1]
    )


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 second"), (59.5, "60 seconds"), (91, "2 minutes"), (300, "5 minutes")]
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
