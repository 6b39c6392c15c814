"""Who rests or goes on where devices are lent, while others wait: turns, deadlines, the idle clock."""

import contextlib

import pytest

from devtools.live_player import Player, Server, end_of, wait_for
from mgdemo.serving import Settings
from mgdemo.serving.engines.zerogpu import leases
from tests.serving.conftest import PATIENT, later
from tests.serving.test_leases import Lender, Request, leases_over, over

pytestmark = pytest.mark.anyio


@pytest.fixture
def server(tmp_path):
    """One place, over worlds of which nothing is remembered from a block to the next."""
    settings = Settings(
        engine="zerogpu",
        loader="benchmarks.stub_world:load_small",
        record_dir=tmp_path,
        stand_seconds=0,
        regenerate=False,
        sessions=1,
        session_seconds=20,
        idle_seconds=300,
        connect_seconds=3600,
        **PATIENT,
    )
    server = Server(settings, leases(settings, Lender()))
    yield server
    server.close()


@contextlib.asynccontextmanager
async def resting(server, monkeypatch, others=0):
    """The session of a visitor whose lease is over, its player, and `others` who waited meanwhile."""
    session = server.open()
    async with Player(server, session.token) as player:
        await wait_for(session, lambda status: status.lease == "wanted")
        waiting = [server.open() for _ in range(others)]
        request = Request(server.service, session.token)
        await player.press("KeyW")
        await player.block(0)
        await player.press()
        with leases_over(monkeypatch):
            await wait_for(session, over)
            await request.over()
        yield session, player, *waiting


def wants(status):
    return status.lease == "wanted"


async def test_who_goes_on_comes_behind_those_who_wait(server, monkeypatch):
    async with resting(server, monkeypatch, others=2) as (session, player, plays, waits):
        await wait_for(plays, wants)
        await player.send(type="go_on")
        status = await wait_for(session, lambda status: status.position)
        assert status.position == 2 and status.text.startswith("You're number 2 in the queue")
        assert waits.status().text.startswith("You're next in the queue")
        await plays.stop()
        await wait_for(waits, wants)
        assert session.status().text.startswith("You're next in the queue")
        await waits.stop()
        await wait_for(session, wants)


async def test_who_goes_on_leaves_the_others_their_last_half_minute(server, monkeypatch):
    async with resting(server, monkeypatch, others=1) as (session, player, plays):
        await wait_for(plays, wants)
        Request(server.service, plays.token)
        await wait_for(plays, lambda status: status.phase == "buffering")
        session.opened -= 1000  # long ago
        plays.course.began -= 1000  # it has had its time
        await player.send(type="go_on")
        await wait_for(session, lambda status: status.position)
        later(server, plays, 20)
        assert plays.status().phase == "buffering"
        later(server, plays, 31)
        assert "Your time is up" in (await end_of(plays)).text


async def test_a_deadline_goes_with_the_place(server, monkeypatch):
    async with resting(server, monkeypatch, others=2) as (session, *_):
        later(server, session, 200)
        assert over(session.status())


async def test_who_rests_knows_of_a_restart_and_ends_by_the_idle_rule(server, monkeypatch):
    async with resting(server, monkeypatch) as (session, _):
        server.service.drain(True)
        assert over(session.status()) and "about to be restarted" in session.status().outlook
        server.service.drain(False)
        assert not session.status().outlook
        server.service.drain(True)
        later(server, session, 290)
        assert over(session.status())
        later(server, session, 310)
        assert (await end_of(session)).text.startswith("Nothing was pressed for 5 minutes.")


async def test_the_idle_clock_counts_only_where_something_can_be_pressed(server, monkeypatch):
    async with resting(server, monkeypatch, others=1) as (session, player, plays):
        await player.send(type="go_on")
        await wait_for(session, lambda status: status.position)
        later(server, session, 1000)
        assert session.status().position == 1, "it waits for its turn"
        await plays.stop()
        await wait_for(session, wants)
        later(server, session, 20)
        made = session.phase.frames
        Request(server.service, session.token)
        await wait_for(session, lambda status: status.frames > made)
        later(server, session, 290)
        assert session.status().phase != "ended"
        later(server, session, 310)
        assert (await end_of(session)).text.startswith("Nothing was pressed for 5 minutes.")
