"""Grids and visitors on one service, with real sockets: the visitor never waits for a grid."""

import contextlib

import pytest
from test_runs import planned

from devtools.live_player import Player, wait_for
from mgdemo.video.mp4 import read_frames
from tests.support.comparing import made, until

pytestmark = pytest.mark.anyio


async def test_a_visitor_gets_the_place_of_a_run_which_continues_afterwards(start):
    server, comparisons = start()
    alone = comparisons.start(planned("universal-400", frames=141))
    await until(alone, lambda _: alone.done)  # before it, the same grid would join this job
    digest = alone.states()[0].stored.facts["frames_sha256"]
    (comparisons.store.folder / alone.states()[0].key / "run.json").unlink()

    job = comparisons.start(alone.grid)
    await until(job, made)
    session = server.open()
    assert session.status().phase != "queued", "its turn has come at once"
    async with Player(server, session.token) as player:
        await player.block(0)
        states = await until(job, lambda states: states[0].phase == "waiting")
        assert "visitors go first" in states[0].words and 0 < states[0].share < 1
        blocks = server.service.metrics()["blocks_total"] - len(player.of("block"))
        await player.block(4)
        assert server.service.metrics()["blocks_total"] - len(player.of("block")) <= blocks + 1
        await player.send(type="stop")
        await player.until(lambda: player.of("end"))
    states = await until(job, lambda states: states[0].phase == "finished")
    assert states[0].stored.facts["frames_sha256"] == digest
    assert sum(1 for _ in read_frames(states[0].stored.video)) == 141


async def test_a_queue_of_visitors_goes_before_a_grid_and_hears_nothing_of_it(start):
    server, comparisons = start()
    first, second = server.open(), server.open()
    job = comparisons.start(planned("universal", rows=2))
    third = server.open()
    assert (second.status().position, third.status().position) == (1, 2)
    async with contextlib.AsyncExitStack() as stack:
        players = [await stack.enter_async_context(Player(server, s.token)) for s in (first, second, third)]
        await players[0].block(0)
        for session, player in zip((first, second, third), players, strict=True):
            await wait_for(session, lambda status: status.phase not in ("queued", "loading"))
            assert [state.phase for state in job.states()] == ["waiting"] * 2
            await player.send(type="stop")
            await player.until(lambda player=player: player.of("end"))
    states = await until(job, lambda states: all(state.over for state in states))
    assert [state.phase for state in states] == ["finished", "finished"]


async def test_with_a_free_place_both_go_on_and_the_visitor_is_not_late(start):
    server, comparisons = start(sessions=2)
    session = server.open("universal-20")
    async with Player(server, session.token) as player:
        await player.block(0)
        job = comparisons.start(planned("universal-200", frames=141))
        await until(job, made)
        begin = len(player.of("block"))
        states = await until(job, lambda states: states[0].over)
        assert states[0].phase == "finished"
        assert session.status().phase == "playing" and len(player.of("block")) > begin


async def test_a_crash_while_a_run_gives_way_costs_it_nothing(start):
    server, comparisons = start()
    job = comparisons.start(planned("universal-400", frames=141, rows=2))
    await until(job, made)
    session = server.open("universal-crash")
    async with Player(server, session.token) as player:
        await player.until(lambda: player.of("end"))
    states = await until(job, lambda states: all(state.over for state in states))
    assert [state.phase for state in states] == ["finished", "finished"]


async def test_a_grid_does_not_fill_the_queue_for_visitors(start):
    server, comparisons = start(queue=0)
    job = comparisons.start(planned("universal-400", frames=141, rows=3))
    await until(job, made)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
    job.cancel()
