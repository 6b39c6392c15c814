"""One visitor with a script cannot take the places from the others."""

import asyncio
import re
import time

import pytest

from devtools.live_player import Player, end_of, wait_for
from devtools.web_process import Script, told
from mgdemo.actions import ActionTrack
from mgdemo.serving import limits
from tests.serving.conftest import PATIENT, later

pytestmark = pytest.mark.anyio

NONSENSE = [None, 5, ["universal-tiny"], {"a": 1}, "x" * 100_000, "../../etc/passwd", True, 1e308]
OWN = (
    "You already have 2 sessions running or waiting (counted by login or address): stop one, then press "
    "Start again."
)


async def test_nonsense_gets_a_sentence_at_once_and_keeps_nobody_from_playing(start):
    web = start(visitor_requests=0)
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        play, scenarios = script.events("start")[:2]
        # By position, without the start images, which the server itself keeps.
        for order, text in ((play, 0), (scenarios, 1)):
            mode, checkpoint, seed = (text + position for position in (0, 1, 5))
            assert len(order["inputs"]) == text + 6
            for position in (*range(text), mode, checkpoint, seed):
                for value in NONSENSE:
                    if position == seed and value in (None, 5, True):
                        continue
                    answer = told(await script.answer(script.order(order, values={position: value})))
                    assert answer["error"] and "see its log" not in answer["error"], (position, value)
        for _ in range(50):
            await script.join(script.order(play, values={0: None}))
        assert "token" in await visitor.start()
    assert web.health()["status"] == "ok"


async def test_one_visitor_has_two_sessions_at_most_and_others_come_in(start):
    web = start(queue=3, connect_seconds=3600)
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        told = [await script.start() for _ in range(8)]
        assert [each.get("error") for each in told] == [None, None] + 6 * [OWN]
        assert "token" in await visitor.start()


async def test_who_begins_sessions_over_and_over_has_to_wait_a_little(start):
    web = start(visitor_starts=8, visitor_sessions=0, connect_seconds=3600)
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        answers = [await script.start() for _ in range(6)]
        refused = [each["error"] for each in answers if "error" in each]
        assert 1 <= len(refused) <= 2 and "You have just begun many sessions" in refused[0], answers
        assert "token" in await visitor.start()


async def test_a_place_is_kept_for_ten_seconds_without_a_connection_also_for_scenarios(start):
    web = start(connect_seconds=8)
    async with Script(web) as script:
        runs = script.events("start")
        assert len(runs) >= 2, "Play and Scenarios"
        for run in runs[:2]:
            await script.answer(script.order(run))
        assert (web.health()["playing"], web.health()["queued"]) == (1, 1)
        async with asyncio.timeout(60):
            while web.health()["playing"]:
                await asyncio.sleep(0.1)
    assert web.health()["queued"] == 0


@pytest.mark.parametrize(
    ("trusted", "strangers"), [("", True), ("127.0.0.8", False), ("127.0.0.0/24", False)]
)
async def test_only_a_trusted_proxy_says_who_the_visitor_is(start, trusted, strangers):
    web = start(trusted_proxies=trusted, connect_seconds=3600)
    told = []
    for number in range(4):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        async with Script(web, "127.0.0.8", headers) as script:
            told.append(await script.start())
    assert [bool(each.get("error")) for each in told] == [False, False, strangers, strangers]
    log = web.log.read_text()
    assert ("name the proxy in MGDEMO_TRUSTED_PROXIES" in log) is strangers
    assert "127.0.0.8" not in log, "a visitor's own address would be no proxy's, and is not for the log"


async def test_a_long_scenario_gives_its_place_to_others_after_the_time_that_they_were_told(serve_plain):
    server = serve_plain(session_seconds=60, **PATIENT)
    track = ActionTrack.hold("universal", ["forward"], frames=15_000)
    run = server.open("universal-120", track=track, watched=True)
    async with Player(server, run.token) as watching:
        await watching.block(3)
        waiting = server.open()
        told = waiting.status()
        assert re.search(r"your turn comes in about \d+ seconds", told.text) and 30 <= told.seconds_left <= 60
        later(server, run, told.seconds_left - 10)
        assert run.status().phase == "playing"
        later(server, run, told.seconds_left)
        await wait_for(waiting, lambda status: status.phase != "queued")
    ended = await end_of(run)
    assert "Your time is up, since others are waiting" in ended.text and ended.recording.frames >= 45


async def waited(session):
    """The seconds that a visitor is told, and those that really pass until the session gets its place."""
    told, began = session.status().seconds_left, time.monotonic()
    await wait_for(session, lambda status: status.phase != "queued")
    return told, time.monotonic() - began


def about(seconds):
    """As near as a busy machine allows: what is wrong says "5 seconds" for ever, or is endless."""
    return pytest.approx(seconds, rel=0.5, abs=10)


async def test_the_wait_for_scenarios_that_end_by_themselves_is_the_one_that_was_told(serve_plain):
    server = serve_plain(session_seconds=3600)
    track = ActionTrack.hold("universal", ["forward"], frames=1200)
    runs = [server.open("universal-120", track=track) for _ in range(2)]  # 100 frames a second
    await wait_for(runs[0], lambda status: status.fps)
    (first, passed), (second, both) = await asyncio.gather(waited(runs[1]), waited(server.open()))
    assert passed == about(first) and both == about(second)
    assert second > first + 5


@pytest.mark.parametrize(
    ("loads", "frames"), [(False, 15_000), (True, None), (True, 21)], ids=["a program's run", "live", "short"]
)
async def test_every_session_makes_room_in_the_time_that_was_told(serve, monkeypatch, loads, frames):
    monkeypatch.setattr(limits, "GRACE", 3.0)
    slow = {"loader": "benchmarks.remembering_world:load_on_dying_devices", "device": "cuda:4"}  # for ever
    server = serve(session_seconds=10, **(slow if loads else {}))
    track = frames and ActionTrack.hold("universal", ["forward"], frames=frames)
    session = server.open("universal-120", track=track)
    await wait_for(session, lambda status: status.phase == ("loading" if loads else "playing"))
    waiting = server.open()
    assert session.status().phase == ("loading" if loads else "playing"), "nobody has waited yet"
    told, passed = await waited(waiting)
    assert 0 < told <= 10 and passed == about(told)
    ended = await end_of(session)
    assert ended.text.startswith("Your time is up, since others are waiting")
    assert ("has not loaded yet" in ended.text) is loads
