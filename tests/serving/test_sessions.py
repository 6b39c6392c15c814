"""The queue, limits, crashes, and what is kept of a session."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.stub_world import SMALL_WIDTH as WIDTH
from benchmarks.stub_world import small_level as level
from benchmarks.watching import workers
from devtools.live_player import PATIENCE, Player, end_of, until, wait_for
from mgdemo.actions import ActionTrack
from mgdemo.picture import StartImage
from mgdemo.scenario import load_scenario
from mgdemo.serving import ServingError, SessionRequest, limits
from mgdemo.video import films
from mgdemo.video.films import PacketLog, RecordingGone
from mgdemo.video.mp4 import metadata, read_frames
from tests.serving.conftest import PATIENT, later, settled

pytestmark = pytest.mark.anyio


async def test_the_third_visitor_waits_for_a_place(serve):
    server = serve(sessions=2)
    first, second, third, fourth = (server.open() for _ in range(4))
    async with Player(server, first.token) as one, Player(server, second.token) as two:
        await one.press("KeyW")
        await two.press("KeyS")
        assert (await one.block(2))["held"] == ["forward"]
        assert (await two.block(2))["held"] == ["back"]
        status = await wait_for(third, lambda status: True)
        assert (status.phase, status.position) == ("queued", 1)
        assert status.text.startswith("You're next in the queue; your turn comes in about ")
        assert fourth.status().position == 2
        assert fourth.status().text.startswith("You're number 2 in the queue; your turn comes in about ")
        assert 0 < status.seconds_left <= server.service.settings.session_seconds
        async with Player(server, third.token) as three:
            await three.until(lambda: [m for m in three.of("status") if m["position"] == 1])
            await first.stop()
            await wait_for(third, lambda status: status.phase in ("loading", "playing"))
            await three.block(1)
            assert fourth.status().position == 1
            await two.block(two.of("block")[-1]["block"] + 2)  # and the second has never stopped


async def test_stop_gives_the_place_away_at_once_and_in_the_queue(serve):
    server = serve()
    first, second, third = (server.open() for _ in range(3))
    async with Player(server, second.token) as waiting:
        await waiting.until(lambda: waiting.of("status"))
        await waiting.send(type="stop")
        await waiting.until(lambda: waiting.closed)
    assert waiting.of("end") == [{"type": "end", "phase": "ended", "text": "Stopped.", "recording": False}]
    assert server.service.get(second.token) is None and server.service.ended(second.token).text == "Stopped."
    assert third.status().position == 1
    async with Player(server, first.token) as player:
        await player.block(0)
        closing = asyncio.create_task(first.stop())
        await asyncio.sleep(0)
        closing.cancel()  # even when nobody waits for the end
        await wait_for(third, lambda status: status.phase != "queued")
    assert (await end_of(first)).recording.frames >= 9


async def test_a_lost_visitor_is_waited_for_and_then_given_up(serve):
    server = serve(reconnect_seconds=1)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
    ended = await end_of(session)
    assert (ended.outcome, ended.recording.frames) == ("ended", session.status().frames)
    assert "was lost. Press Start" in ended.text
    assert server.service.recording_of(session.token) == ended.recording
    assert len(list(server.service.settings.record_dir.iterdir())) == 1


async def test_a_page_that_never_connects_loses_its_place(serve):
    server = serve(connect_seconds=1)
    session, waiting = server.open(), server.open()
    ended = await end_of(session)
    assert (ended.outcome, ended.recording) == ("error", None)
    assert "WebSockets" in ended.text
    assert (await end_of(waiting)).outcome == "error"  # the queue is for pages, too
    assert server.service.health()["queued"] == server.service.health()["playing"] == 0


async def test_a_reload_keeps_the_session_while_others_wait(serve):
    server = serve()
    first, second = server.open(), server.open()
    async with Player(server, second.token) as waiting:
        async with Player(server, first.token) as player:
            await player.block(0)
        await wait_for(first, lambda status: status.phase == "buffering")
        later(server, first, 15)
        async with Player(server, first.token) as player:
            await player.block(2)
            assert second.status().phase == "queued"
            assert server.service.resume(first.token) is first
        await wait_for(first, lambda status: status.phase == "buffering")
        later(server, first, 31)  # nobody came back any more
        await waiting.until(lambda: waiting.of("welcome"))
    assert "was lost" in (await end_of(first)).text


async def test_a_reload_in_the_queue_keeps_the_position(serve):
    server = serve()
    first, second, third = (server.open() for _ in range(3))
    async with Player(server, first.token), Player(server, third.token):
        async with Player(server, second.token) as player:
            await player.until(lambda: player.of("status"))
        await until(lambda: not second._link.connected)
        later(server, second, 15)  # a page that has never come is waited for less long
        assert (second.status().position, third.status().position) == (1, 2)
        later(server, second, 31)
        await wait_for(third, lambda status: status.position == 1)


async def test_a_full_queue_is_said_at_once(serve):
    server = serve(queue=1)
    server.open(), server.open()
    with pytest.raises(ServingError, match=r"^1 visitor is already waiting: try again"):
        server.open()


async def test_sessions_end_gently_when_nothing_is_pressed(serve):
    server = serve(**PATIENT)
    session = server.open("templerun")
    async with Player(server, session.token) as player:
        await player.press("KeyW")
        await player.block(3)
        later(server, session, 1000)  # longer than the limit, but a key is held
        await player.press()
        await player.until(lambda: player.of("block")[-1]["held"] == [])
        later(server, session, 200)
        assert session.status().phase == "playing"
        later(server, session, 301)
        await player.until(lambda: player.of("end"))
    ended = await end_of(session)
    assert ended.text == "Nothing was pressed for 5 minutes. Press Start to begin another session."
    assert ended.recording.frames >= 45


async def test_the_idle_clock_does_not_run_in_the_queue_nor_while_a_world_loads(serve):
    server = serve(idle_seconds=3)
    first, second = server.open("templerun"), server.open("templerun")
    async with Player(server, second.token) as waiting:
        async with Player(server, first.token) as player:
            await player.press("KeyW")
            await asyncio.sleep(3.5)
            await player.send(type="stop")
        await waiting.block(0)
        began = second.course.began
        ended = await end_of(second)
        assert "Nothing was pressed" in ended.text and time.monotonic() - began > 3


async def test_a_session_that_stands_uses_no_device_and_ends_only_when_others_wait(serve):
    server = serve(stand_seconds=1, session_seconds=0, **PATIENT)
    session = server.open()
    async with Player(server, session.token) as player:
        status = await wait_for(session, lambda status: status.phase == "standing")
        assert status.text == "Standing still. Press any control to continue."
        await player.until(lambda: [s for s in player.of("status") if s["phase"] == "standing"])
        blocks = await settled(player)
        await asyncio.sleep(1)
        later(server, session, 1000)
        assert len(player.of("block")) == blocks and session.status().phase == "standing"
        await player.press("KeyW")
        await player.until(lambda: len(player.of("block")) > blocks)
        await wait_for(session, lambda status: status.phase == "playing")
        await player.press()
        await wait_for(session, lambda status: status.phase == "standing")
        server.open()
        later(server, session, 301)
        assert "Nothing was pressed for 5 minutes" in (await end_of(session)).text


async def test_time_is_limited_only_while_others_wait(serve):
    server = serve(session_seconds=1, idle_seconds=0, **PATIENT)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(2)
        later(server, session, 1000)
        assert session.status().seconds_left is None
        waiting = server.open()
        assert "Others are waiting: this session ends in " in session.status().text
        later(server, session, limits.GRACE - 10)
        assert session.status().phase == "playing"
        later(server, session, limits.GRACE + 1)
        ended = await end_of(session)
        assert "others are waiting" in ended.text
        await wait_for(waiting, lambda status: status.phase != "queued")
    assert ended.recording.frames >= 33


async def test_nobody_is_told_to_wait_for_himself(serve):
    server = serve()
    server.open(visitor="me")
    mine, other = server.open(visitor="me"), server.open(visitor="you")
    assert mine.status().text.startswith("Your own session on the other tab is still running")
    assert other.status().text.startswith("You're number 2 in the queue")
    assert server.service.resume(other.token, "me") is other  # its page was loaded again
    await mine.stop()
    assert other.status().text.startswith("Your own session on the other tab")


async def test_a_recording_has_an_end(serve):
    server = serve(record_seconds=1)
    session = server.open()
    async with Player(server, session.token):
        ended = await end_of(session)
    assert "reached its limit of 1 second" in ended.text
    assert ended.recording.frames >= 25


@pytest.mark.parametrize("plays", [1, 2])
async def test_a_scenario_is_played_to_its_last_frame(serve, plays):
    server = serve(sessions=plays)
    steps = [("forward",), ("back", "look_right"), ("left", "forward"), ("right",)]
    track = ActionTrack.concat([ActionTrack.hold("universal", held, None, 10) for held in steps])
    sessions = [server.open(track=track, title="Four ways", seed=3) for _ in range(plays)]
    for session in sessions:
        seen = [status async for status in session.statuses()]
        assert (seen[-1].phase, seen[-1].text, seen[-1].frames) == ("ended", "The scenario is complete.", 45)
        result = server.service.recording_of(session.token)
        frames = list(read_frames(result.mp4))
        assert len(frames) == result.frames == 45  # whole blocks: 12n - 3
        padded = track.padded()
        for row, frame in enumerate(frames):
            assert abs(np.median(frame[8:, : WIDTH // 2 - 4]) - level(padded, row)) <= 2
        assert load_scenario(result.scenario).track == padded
        assert metadata(result.mp4)["title"] == load_scenario(result.scenario).title == "Four ways"


async def test_a_scenario_can_be_watched_while_it_is_made(serve):
    server = serve()
    session = server.open(track=ActionTrack.hold("universal", ["forward"], None, 12 * 40 - 3))
    async with Player(server, session.token) as player:
        await player.until(lambda: player.of("end"))
    assert player.of("welcome")[0]["frames"] == 477
    assert player.frames[0][1] == 1
    assert [f[2] for f in player.frames] == list(range(477))
    progress = [m["progress"] for m in player.of("status") if m["phase"] == "playing"]
    assert progress == sorted(progress)


async def test_a_scenario_of_another_mode_is_refused(serve):
    session = serve().open(track=ActionTrack.hold("templerun", ["jump"], None, 9))
    ended = await end_of(session)
    assert ended.outcome == "error"
    assert "is for Temple Run, but universal plays Universal: choose" in ended.text


async def test_a_crash_is_told_and_kept_and_overcome(serve):
    server = serve(sessions=2)
    session, other = server.open("universal-crash"), server.open()
    async with Player(server, session.token) as player, Player(server, other.token) as bystander:
        await bystander.block(0)
        await player.until(lambda: player.of("end"))
        ended = await end_of(session)
        assert player.of("end")[0]["phase"] == ended.outcome == "error"
        assert ended.text.startswith("The engine stopped unexpectedly (exit code 7).")
        assert "press Start to begin another session" in ended.text
        assert len(list(read_frames(ended.recording.mp4))) == ended.recording.frames == 33
        assert len(load_scenario(ended.recording.scenario).track) == 33
        await bystander.block(bystander.of("block")[-1]["block"] + 2)  # it goes on
        await other.stop()
    assert server.service.metrics()["crashes_total"] == 2, "once more at the same block, and never again"


async def test_a_scenario_whose_page_was_lost_ends_like_a_live_session(serve):
    server = serve(reconnect_seconds=0.5)
    session = server.open("universal-slow", track=ActionTrack.hold("universal", [], None, 600))
    async with Player(server, session.token) as player:
        await player.block(0)
    assert "connection to your page was lost" in (await end_of(session)).text


async def test_a_scenario_without_a_page_comes_to_its_end(serve):
    server = serve(connect_seconds=0.1, reconnect_seconds=0.1)
    session = server.open("universal-slow", track=ActionTrack.hold("universal", [], None, 21))
    assert (await end_of(session)).text == "The scenario is complete."


async def test_a_worker_that_hangs_is_ended_and_the_next_session_begins(serve, slow_starts):
    server = serve(worker_timeout_seconds=6)
    session = server.open("universal-hang")
    async with Player(server, session.token):
        ended = await end_of(session)
        assert server.service.metrics()["crashes_total"] == 2
    assert ended.text.startswith("The engine stopped unexpectedly (it made no progress for too long).")
    assert ended.recording.frames == 33
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        health = server.service.health()["workers"][0]
        assert health["running"] and not health["trouble"]


async def test_a_worker_that_is_silent_is_ended_though_its_pipes_are_open(serve, slow_starts):
    server = serve(worker_timeout_seconds=5)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(0)
        (pid,) = workers(os.getpid())
        os.kill(int(pid), signal.SIGSTOP)
        await wait_for(session, lambda status: "was restarted" in status.text)
        await player.block(player.of("block")[-1]["block"] + 2)
    assert server.service.metrics()["crashes_total"] == 1


async def test_a_worker_with_nothing_to_do_is_left_alone(serve, slow_starts):
    server = serve(worker_timeout_seconds=4)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(0)
        await player.send(type="pause", on=True)
        await asyncio.sleep(5)
    assert (
        session.status().phase in ("paused", "buffering") and server.service.metrics()["crashes_total"] == 0
    )


async def test_a_worker_that_does_not_even_read_does_not_hold_up_the_end(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(0)
    (pid,) = workers(os.getpid())
    os.kill(int(pid), signal.SIGSTOP)
    await session.stop()
    large = StartImage(None, Image.new("RGB", (400, 300)))  # more than its pipe holds
    server.service.open(SessionRequest("universal", large))
    await asyncio.to_thread(server.service.close)
    assert not Path(f"/proc/{pid}").exists()


async def test_a_model_that_fails_ends_its_own_session_only(serve):
    server = serve(sessions=2)
    session, other = server.open("universal-broken"), server.open()
    async with Player(server, session.token), Player(server, other.token) as bystander:
        ended = await end_of(session)
        assert ended.text.startswith("The model failed (RuntimeError: the matrix is singular).")
        assert "traceback" not in ended.text
        assert ended.recording.frames == 33
        await bystander.block(5)
    assert server.service.metrics()["crashes_total"] == 0


async def test_a_checkpoint_that_cannot_be_loaded_is_told(serve):
    server = serve()
    session = server.open("missing")
    ended = await end_of(session)
    assert (ended.outcome, ended.recording) == ("error", None)
    assert "missing.safetensors" in ended.text
    track = ActionTrack.hold("universal", [], None, 9)
    assert (await end_of(server.open(track=track))).recording.frames == 9


async def test_a_film_is_made_of_whole_blocks(serve, monkeypatch):
    """Wherever among a block's frames the end comes."""
    server = serve()
    session = server.open()
    handle = session.course.handle

    def until_frame_21(event):
        handle(event)
        if getattr(event, "first", 0) == 21:  # by itself; eleven more are to come
            session.end("ended", "Stopped.")

    monkeypatch.setattr(session.course, "handle", until_frame_21)
    async with Player(server, session.token):
        ended = await end_of(session)
    assert len(list(read_frames(ended.recording.mp4))) == ended.recording.frames == 21
    assert len(load_scenario(ended.recording.scenario).track) == 21


async def test_a_full_disk_stops_the_recording_and_not_the_session(serve, monkeypatch):
    add, room = PacketLog.add, 1500

    def full(self, data):
        if self.size + len(data) > room:
            raise OSError(28, "No space left on device")
        return add(self, data)

    monkeypatch.setattr(PacketLog, "add", full)
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(9)
        packets = np.cumsum([len(frame[4]) for frame in player.frames])
        result = await session.stop()
    frames = int((packets <= room).sum())  # as many as fit, to the last one
    assert 9 < frames < len(packets) and f"stops at frame {frames}:" in session.status().text
    assert len(list(read_frames(result.mp4))) == result.frames == frames
    assert len(load_scenario(result.scenario).track) == frames


async def test_a_disk_that_fills_up_at_the_end_costs_only_what_is_not_written_yet(serve, monkeypatch):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(2)
        await player.send(type="rewind", node=1)
        await player.until(lambda: player.of("rewound"))
        await player.send(type="step")
        await player.until(lambda: player.of("block")[-1]["parent"] == 1 and player.frames[-1][2] == 20)

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(films, "apart", full)
        result = await session.stop()
    assert len(list(read_frames(result.mp4))) == result.frames == 21
    assert result.overlay_mp4 is None
    (branch,) = result.branches
    with monkeypatch.context() as patch:
        patch.setattr(films, "mux", full)
        with pytest.raises(RecordingGone, match="disk is full"):
            branch.write()
    assert branch.write().frames >= 33, "once there is room"


async def test_a_folder_that_cannot_be_written_costs_only_the_recording(serve, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    server = serve(record_dir=tmp_path / "file" / "plays")
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        assert await session.stop() is None
    assert "stops at frame 0" in session.status().text


async def test_recordings_are_private(serve, tmp_path):
    server = serve(record_dir=tmp_path / "kept" / "here")
    session = server.open(track=ActionTrack.hold("universal", [], None, 9))
    folder = (await end_of(session)).recording.mp4.parent
    assert [path.stat().st_mode & 0o777 for path in (folder, folder.parent)] == [0o700, 0o700]


async def test_six_visitors_on_four_places(serve):
    server = serve(sessions=4)

    async def visit(key, name):
        session = server.open()
        async with Player(server, session.token) as player:
            await player.press(key)
            block = await player.block(5)
            result = await session.stop()
            assert block["held"] == [name]
            assert [f[2] for f in player.frames] == list(range(len(player.frames)))
            return result

    keys = [("KeyW", "forward"), ("KeyS", "back"), ("KeyA", "left"), ("KeyD", "right"), ("KeyI", "look_up")]
    results = await asyncio.gather(*(visit(*key) for key in [*keys, ("KeyK", "look_down")]))
    assert all(result.frames >= 69 for result in results)
    assert len({result.mp4 for result in results}) == 6
    assert server.service.health()["playing"] == server.service.health()["queued"] == 0


async def test_each_device_has_a_worker_and_sessions_are_spread(serve):
    server = serve(sessions=3, device="cpu, cpu")
    sessions = [server.open() for _ in range(2)]
    for session in sessions:
        async with Player(server, session.token) as player:
            await player.block(0)
    assert [worker["running"] for worker in server.service.health()["workers"]] == [True, True]
    assert len(workers(os.getpid())) == 2


async def test_closing_the_service_keeps_the_recordings_and_leaves_no_process(serve):
    server = serve(sessions=2)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(2)
        (pid,) = workers(os.getpid())
        await asyncio.to_thread(server.service.close)
        result = server.service.recording_of(session.token)
    assert len(list(read_frames(result.mp4))) == result.frames >= 33
    assert load_scenario(result.scenario)
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(ServingError, match="shutting down"):
        server.open()


@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
def test_a_worker_does_not_outlive_a_killed_server(tmp_path):
    script = """
import sys, time
from pathlib import Path
from PIL import Image
from mgdemo.picture import StartImage
from mgdemo.serving import SessionRequest, SessionService, Settings
service = SessionService(Settings(loader="benchmarks.stub_world:load_small", record_dir=Path(sys.argv[1])))
start = StartImage(None, Image.new("RGB", (64, 48)))
session = service.open(SessionRequest("universal", start))
while session.status().phase == "loading":
    time.sleep(0.02)
print(session.status().phase, flush=True)
time.sleep(60)
"""
    path = os.pathsep.join(str(Path(p).resolve()) for p in sys.path)
    server = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path],
        stdout=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONPATH=path),
    )  # fmt: skip
    assert server.stdout.readline() == "buffering\n"
    (pid,) = workers(server.pid)
    server.send_signal(signal.SIGKILL)
    server.wait()
    deadline = time.monotonic() + PATIENCE
    while running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
