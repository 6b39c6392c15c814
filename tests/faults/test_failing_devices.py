"""A device fails: its engine is set aside, visitors begin or go on elsewhere, and health says which it is."""

import os

import pytest
from PIL import Image

from benchmarks.watching import workers
from devtools.live_player import Player, end_of, until, wait_for
from mgdemo.devices import DeviceFailure, device_failed
from mgdemo.picture import StartImage
from mgdemo.serving import SessionRequest
from mgdemo.serving.devices import Condition
from mgdemo.serving.warming import LONGEST_PAUSE, PAUSE

pytestmark = pytest.mark.anyio

DYING = "benchmarks.remembering_world:load_on_dying_devices"


@pytest.mark.parametrize("dead", ["cuda:1", "cuda:2"])
async def test_with_one_device_of_two_dead_all_visitors_play(serve, dead):
    server = serve(loader=DYING, device=f"{dead},cpu", sessions=4)
    sessions = [server.open() for _ in range(8)]
    for four in (sessions[:4], sessions[4:]):
        players = [Player(server, session.token) for session in four]
        for player in players:
            await player.__aenter__()
        for session, player in zip(four, players, strict=True):
            await player.block(2)
            await session.stop()
        for player in players:
            await player.__aexit__()
    assert [(await end_of(session)).outcome for session in sessions] == ["ended"] * 8
    assert server.service.metrics()["errors_total"] == 0
    health = server.service.health()
    assert health["status"] == "degraded"
    bad, good = health["workers"]
    assert (bad["device"], good["device"], good["failures"]) == (dead, "cpu", 0)
    assert bad["failures"] >= 1
    assert ("illegal memory access" if dead == "cuda:1" else "exit code 3") in bad["reason"]


async def test_an_error_of_the_device_while_loading_renews_the_worker(serve, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    server = serve(loader=DYING, device="cuda:3")
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        assert server.service.metrics()["crashes_total"] == 1 and len(workers(os.getpid())) == 1
        await until(lambda: server.service.health()["status"] == "ok")


async def test_without_any_device_that_works_a_visitor_gets_a_sentence_and_health_says_so(serve):
    server = serve(loader=DYING, device="cuda:1")
    session = server.open()
    async with Player(server, session.token):
        ended = await end_of(session)
    assert ended.outcome == "error"
    assert ended.text.startswith("The device failed (CUDA error: an illegal memory access was encountered).")
    assert "kernel errors" not in ended.text and "Press Start to try again" in ended.text
    assert server.service.health()["status"] == "failing"


async def test_a_device_that_fails_in_a_block_is_tried_once_more_and_harms_nobody_else(serve):
    server = serve(sessions=2)
    session, other = server.open("universal-20-faulty"), server.open()
    async with Player(server, session.token) as player, Player(server, other.token) as bystander:
        ended = await end_of(session)
        assert ended.text.startswith("The device failed (cuDNN error: CUDNN_STATUS_EXECUTION_FAILED).")
        assert ended.recording.frames == 33 and len(seen_blocks(player)) == 3
        await bystander.block(bystander.of("block")[-1]["block"] + 3)
    assert server.service.metrics()["crashes_total"] == 2


async def test_a_session_that_cannot_be_told_to_its_worker_fails_alone(serve, monkeypatch):
    monkeypatch.setattr("mgdemo.messages.codec.MAX_PARTS", 200_000)
    server = serve(sessions=2)
    picture = StartImage(None, Image.new("RGB", (400, 300)))
    refused = server.service.open(SessionRequest("universal", picture))
    async with Player(server, refused.token):
        ended = await end_of(refused)
    assert ended.outcome == "error"
    assert ended.text.startswith("The engine could not be told of your session (a message of ")
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
    assert server.service.metrics()["crashes_total"] == 0


async def test_an_event_that_cannot_be_handled_is_not_the_last_one(serve, monkeypatch):
    def fail(self):
        raise RuntimeError("broken")

    monkeypatch.setattr(Condition, "works", fail)
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(3)


def seen_blocks(player):
    return {block["block"] for block in player.of("block")}


async def test_a_load_that_never_ends_though_it_reports_progress_has_a_limit(serve, slow_starts):
    server = serve(loader=DYING, device="cuda:4", load_seconds=6, worker_timeout_seconds=6)
    session = server.open()
    async with Player(server, session.token):
        await wait_for(session, lambda status: status.text == "Reading on")
        ended = await end_of(session)
    assert ended.text.startswith("The engine stopped unexpectedly (it made no progress for too long).")


def test_pauses_grow_up_to_a_limit_and_a_worker_that_just_died_is_started_at_once():
    condition, pauses = Condition(), []
    for _ in range(12):
        condition.failed("It died.", 100.0)
        pauses.append(condition.until - 100.0)
    assert pauses[:4] == [0, PAUSE, 2 * PAUSE, 4 * PAUSE] and pauses[-1] == LONGEST_PAUSE
    broken = Condition(broken="The device failed.")
    broken.failed("It died.", 100.0)
    assert (broken.until, broken.reason) == (100.0 + PAUSE, "The device failed.")


class AcceleratorError(RuntimeError):
    """As PyTorch calls them."""


class OutOfMemoryError(RuntimeError):
    """As PyTorch calls them."""


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (AcceleratorError("an error"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), True),
        (RuntimeError("CUBLAS_STATUS_EXECUTION_FAILED when calling cublasGemmEx"), True),
        (DeviceFailure("cuda:1 cannot be used."), True),
        (OutOfMemoryError("CUDA error: out of memory"), False),
        (RuntimeError("the matrix is singular"), False),
        (ValueError("no such file"), False),
    ],
)
def test_what_counts_as_a_failure_of_the_device(error, failed):
    assert bool(device_failed(error)) == failed
