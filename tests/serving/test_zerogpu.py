"""The app on a ZeroGPU Space: the package `spaces` as it is, its forks, and a stand-in for the lender."""

import asyncio
import os
import signal

import pytest

from benchmarks import remembering_world
from devtools.live_player import until
from devtools.web_process import Script
from mgdemo.serving.loan import run_seconds
from tests.support.device_api import device_api
from tests.support.lent_page import ended, last_played, lent_web, page, released

pytest.importorskip("spaces")
pytestmark = [pytest.mark.anyio, pytest.mark.live]
SECONDS = 20  # of a lease


@pytest.fixture(scope="module")
def space(tmp_path_factory):
    """A web process on a Space with two GPUs; it finds out by itself that it is one."""
    folder = tmp_path_factory.mktemp("web")
    with device_api() as api:
        settings = {
            "LEASE_SECONDS": str(SECONDS),
            "LOADER": "benchmarks.remembering_world:load",
            "VISITOR_SESSIONS": "0",
        }
        with lent_web(folder, api, "tests.support.without_torch", **settings) as web:
            yield web, api


@pytest.fixture
def web(space):
    return space[0]


@pytest.fixture
def api(space):
    """The stand-in, whose GPUs are all free, and which has forgotten what was asked before."""
    space[1].wait(lambda: not space[1].held)
    space[1].calls.clear()
    return space[1]


def played(web):
    return last_played(web, lambda name: remembering_world.load(name.removesuffix("-tiny"), device="cpu"))


async def test_live_play_in_leases_gives_the_same_world_as_without(web, api):
    async with page(web) as visitor:
        await visitor.leased()
        await visitor.player.press("KeyW")
        await visitor.player.block(2)
        assert 0 < visitor.last["lease_seconds"] <= SECONDS
        assert f"Your {SECONDS} seconds on the GPU are over. Press Go on" in await visitor.rests()
        assert await released(api, 1) == ["false"]
        made = visitor.player.of("block")[-1]["block"]
        await visitor.player.send(type="go_on")
        await visitor.leased()
        await visitor.player.press("KeyS")
        await visitor.player.block(made + 3)
        await visitor.player.send(type="stop")
        assert (await ended(visitor.player))["recording"]
        assert await released(api, 2) == ["false", "false"]
    assert [call["durationSeconds"] for call in api.made("schedule")] == [str(SECONDS)] * 2
    assert all("token" in call for call in api.made("schedule")), "the visitor's quota is charged"
    assert len(api.made("allow")) == 1, "a process that is idle is used again"
    replay, same = played(web)
    assert replay.scenario.track.blocks > made + 3 and same


async def test_a_scenario_has_one_lease_of_the_length_that_it_needs(web, api):
    async with page(web, tab=1) as visitor:
        await visitor.leased()
        assert (await ended(visitor.player))["text"] == "The scenario is complete."
        assert await released(api, 1) == ["false"]
    replay, same = played(web)
    seconds = run_seconds(len(replay.scenario.track), None)
    assert [call["durationSeconds"] for call in api.made("schedule")] == [str(seconds)] and same


async def test_a_refused_quota_is_said(web, api):
    api.left = 5
    try:
        async with page(web) as visitor:
            await visitor.leased()
            end = await ended(visitor.player)
    finally:
        api.left = None
    assert end["phase"] == "error" and not api.made("allow")
    assert "quota (20s requested vs. 5s left). Try again in 1:00:00. Press Start to try again" in end["text"]


async def test_a_page_that_is_left_frees_its_gpu_at_once(web, api):
    async with page(web) as visitor:
        await visitor.leased()
        await visitor.player.press("KeyW")
        await visitor.player.block(1)
        await visitor.close()  # the browser closes the page's connections
        assert await released(api, 1) == ["false"]
        assert "Your page has given the GPU back" in await visitor.rests()
    assert not api.held


async def test_events_that_come_at_once_have_room(web):
    async with Script(web, "127.0.0.2") as script:
        order = script.order(script.events("start")[0], values={0: None})
        answers = await asyncio.gather(*(script.join(order) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}


async def test_two_visitors_play_at_once_on_gpus_of_their_own(web, api):
    async with page(web) as one, page(web, "127.0.0.3") as two:
        for visitor, key in ((one, "KeyW"), (two, "KeyS")):
            await visitor.leased()
            await visitor.player.press(key)
        await asyncio.gather(one.player.block(3), two.player.block(3))
        assert len(api.held) == 2
        held = [visitor.player.of("block")[-1]["held"] for visitor in (one, two)]
        assert held == [["forward"], ["back"]]
        async with page(web, "127.0.0.4") as third:  # there is a place, but no GPU
            await third.leased()
            assert (await ended(third.player))["text"].startswith("No GPU was available. Press Start")


async def test_a_fork_that_dies_is_said_and_its_world_goes_on(web, api):
    api.forget()
    async with page(web) as visitor:
        await visitor.leased()
        await visitor.player.press("KeyW")
        await visitor.player.block(1)
        os.kill(next(iter(api.held.values())), signal.SIGKILL)
        assert "The GPU was lost" in await visitor.rests()
        assert await released(api, 1) == ["true"]
        made = visitor.player.of("block")[-1]["block"]
        await visitor.player.send(type="go_on")
        await visitor.leased()
        await visitor.player.press("KeyW")
        await visitor.player.block(made + 2)
        await visitor.player.send(type="stop")
        await ended(visitor.player)
    assert played(web)[1]
    await until(lambda: not api.held)


async def test_the_web_process_needs_no_torch_and_its_engines_are_those_of_the_space(web):
    workers = web.health()["workers"]
    assert [worker["device"] for worker in workers] == ["zerogpu"] * 4
