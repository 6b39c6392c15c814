"""One visitor with a script cannot take the places from the others."""

import asyncio
import re

import pytest

from devtools.live_player import Player, end_of, wait_for
from devtools.web_process import Script, told
from mgdemo.actions import ActionTrack
from tests.serving.conftest import PATIENT, later

pytestmark = pytest.mark.anyio

NONSENSE = [None, 5, ["universal-tiny"], {"a": 1}, "x" * 100_000, "../../etc/passwd", True, 1e308]
OWN = "At your address 2 sessions are running or waiting already: stop one, then press Start again."


async def test_nonsense_gets_a_sentence_at_once_and_keeps_nobody_from_playing(start):
    web = start(visitor_requests=0)
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        play, scenarios = script.events("start")[:2]
        # By position, without the start images, which the server itself keeps.
        for order, text in ((play, 0), (scenarios, 1)):
            mode, checkpoint, seed = (text + position for position in (0, 1, 4))
            assert len(order["inputs"]) == text + 5
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
    web = start(queue=3)
    async with Script(web) as script, Script(web, "127.0.0.3") as visitor:
        told = [await script.start() for _ in range(8)]
        assert [each.get("error") for each in told] == [None, None] + 6 * [OWN]
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
    web = start(trusted_proxies=trusted)
    told = []
    for number in range(4):
        headers = {"X-Forwarded-For": f"203.0.113.{number}"}
        async with Script(web, "127.0.0.8", headers) as script:
            told.append(await script.start())
    assert [bool(each.get("error")) for each in told] == [False, False, strangers, strangers]
    assert ("set MGDEMO_TRUSTED_PROXIES=127.0.0.8" in web.log.read_text()) is strangers


async def test_a_long_scenario_gives_its_place_to_others_after_the_time_that_they_were_told(serve_plain):
    server = serve_plain(session_seconds=60, **PATIENT)
    track = ActionTrack.hold("universal", ["forward"], frames=15_000)
    run = server.open("universal-120", track=track, followed=True)
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


async def test_the_wait_for_a_scenario_that_ends_by_itself_is_known(serve_plain):
    server = serve_plain(session_seconds=3600)
    track = ActionTrack.hold("universal", ["forward"], frames=15_000)
    run = server.open("universal-120", track=track, followed=True)  # as fast as 100 frames a second
    async with Player(server, run.token) as watching:
        await watching.block(8)
        wait, playing = server.open().status().seconds_left, run.status()
        assert wait == pytest.approx((15_000 - playing.frames) / playing.fps, rel=0.1)
        assert wait > 100
