"""Runs on several devices, and runs whose worker dies: the same frames as undisturbed on one device."""

import asyncio
import os
import signal

import pytest
from test_runs import planned

from benchmarks.watching import workers
from devtools.live_player import Player
from devtools.live_player import until as until_so
from mgdemo.compare.jobs import Job
from mgdemo.video.mp4 import read_frames
from tests.faults.conftest import kill_workers
from tests.support.comparing import digests, made, until

pytestmark = pytest.mark.anyio

WORLDS = "benchmarks.remembering_world:load"
MEETING = "benchmarks.remembering_world:load_meeting"
FRAMES = 141


@pytest.fixture
def two(start, tmp_path, monkeypatch):
    """two() -> a server with two devices, which begin their first runs together, and its comparisons."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return lambda: start(MEETING, device="cpu,cpu", sessions=2)


async def undisturbed(start, rows):
    """The hashes of what is made on one device, run after run. (Worlds do not depend on their speed.)"""
    _, comparisons = start(WORLDS, runs="undisturbed")
    return await digests(comparisons.start(planned("universal", frames=FRAMES, rows=rows)))


async def test_runs_of_one_grid_go_on_at_once_on_two_devices(start, two, tmp_path):
    truth = await undisturbed(start, rows=4)
    server, comparisons = two()
    job = comparisons.start(planned("universal", frames=FRAMES, rows=4))
    assert await digests(job) == truth, "one world waits for the other: alone, none gets ahead"
    assert len(set(truth)) == 4 and len(list(tmp_path.glob("met-*"))) == 2
    assert server.service.metrics()["sessions_total"] == 4


async def test_beside_a_grid_on_two_devices_a_visitor_gets_a_place_at_once(start, two):
    server, comparisons = two()
    job = comparisons.start(planned("universal-400", frames=FRAMES, rows=3))
    await until(job, lambda states: len(made(states)) == 2)
    session = server.open()
    assert session.status().phase != "queued"
    async with Player(server, session.token) as player:
        await player.block(0)
        states = await until(job, lambda states: any("visitors go first" in s.words for s in states))
        (other,) = (state.key for state in states if state.phase == "running")
        await until(job, lambda states: any(s.key == other and s.over for s in states))
        assert session.status().phase == "playing", "the other run has not waited for the visitor"
        await player.send(type="stop")
        await player.until(lambda: player.of("end"))
    assert await digests(job) == await undisturbed(start, rows=3)


async def test_a_run_whose_worker_dies_goes_on_with_the_same_frames(start):
    server, comparisons = start(WORLDS)
    job = comparisons.start(planned("universal-400", frames=FRAMES))
    shares = asyncio.create_task(shares_of(job))
    for deaths in (1, 2):
        blocks = server.service.metrics()["blocks_total"]
        await until_so(lambda blocks=blocks: server.service.metrics()["blocks_total"] >= blocks + 3)
        assert kill_workers() == 1
        await until_so(lambda deaths=deaths: server.service.metrics()["moves_total"] == deaths)
    assert await digests(job) == await undisturbed(start, rows=1)
    (state,) = job.states()
    assert len(list(read_frames(state.stored.video))) == FRAMES
    assert [path.name for path in comparisons.store.folder.iterdir()] == [state.key]
    seen = await shares
    assert seen == sorted(seen), "it only goes forward"


async def test_no_status_takes_back_what_is_made(start, monkeypatch):
    states, change = [], Job.change

    def changed(job, state):
        states.append(state)
        change(job, state)

    monkeypatch.setattr(Job, "change", changed)
    _, comparisons = start(WORLDS)
    await digests(comparisons.start(planned("universal", frames=FRAMES)))
    shares = [state.share for state in states]
    assert shares == sorted(shares) and shares[-1] == 1


async def shares_of(job):
    return [states[0].share async for states in job.changes()]


async def test_when_one_of_two_workers_dies_the_run_on_the_other_one_is_not_touched(start, two):
    server, comparisons = two()
    job = comparisons.start(planned("universal-400", frames=FRAMES, rows=2))
    await until(job, lambda states: len(made(states)) == 2)
    os.kill(workers(os.getpid())[0], signal.SIGKILL)
    assert await digests(job) == await undisturbed(start, rows=2)
    metrics = server.service.metrics()
    assert (metrics["crashes_total"], metrics["moves_total"], metrics["errors_total"]) == (1, 1, 0)


async def test_a_worker_that_dies_while_a_run_gives_way_takes_nothing_of_it(start):
    server, comparisons = start(WORLDS)
    job = comparisons.start(planned("universal-400", frames=FRAMES))
    await until(job, made)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(0)
        await until(job, lambda states: "visitors go first" in states[0].words)
        assert kill_workers() == 1
        await player.until(lambda: player.of("block")[-1]["block"] >= 3)
        await player.send(type="stop")
        await player.until(lambda: player.of("end"))
    assert await digests(job) == await undisturbed(start, rows=1)
