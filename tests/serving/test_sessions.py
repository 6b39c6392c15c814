"""Places in line, limits, crashes, and what is kept of a play."""

import asyncio
import io
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from live_player import PATIENCE, Player, wait_for
from PIL import Image

from benchmarks.stub_world import SMALL_WIDTH as WIDTH
from benchmarks.stub_world import small_level as level
from mgdemo.actions import ActionTrack
from mgdemo.scenario import load_scenario
from mgdemo.serving import PlayRequest, ServingError, keeping, service
from mgdemo.serving.keeping import prune
from mgdemo.serving.sessions import duration
from mgdemo.video.record import Recording, Reel, metadata, read_frames

pytestmark = pytest.mark.anyio


def final(status):
    return status.state in ("ended", "error")


async def test_the_third_visitor_waits_for_a_place(serve):
    server = serve(sessions=2)
    first, second, third, fourth = (server.open() for _ in range(4))
    async with Player(server, first.token) as one, Player(server, second.token) as two:
        await one.press("KeyW")
        await two.press("KeyS")
        assert (await one.block(2))["held"] == ["forward"]
        assert (await two.block(2))["held"] == ["back"]
        status = await wait_for(third, lambda status: True)
        assert (status.state, status.place) == ("queued", 1)
        assert status.text.startswith("You are number 1 in line. A play ends in at most ")
        assert fourth.status().place == 2
        assert 0 < status.seconds_left <= server.service.settings.session_seconds
        async with Player(server, third.token) as three:
            await three.until(lambda: [m for m in three.of("status") if m["place"] == 1])
            await first.stop()
            await wait_for(third, lambda status: status.state in ("loading", "playing"))
            await three.block(1)
            assert fourth.status().place == 1
            await two.block(two.of("block")[-1]["block"] + 2)  # and the second has never stopped


async def test_a_visitor_who_leaves_gives_the_place_away(serve):
    server = serve()
    first, second, third = (server.open() for _ in range(3))
    await second.close()  # from the line
    assert server.service.get(second.token) is None
    assert third.status().place == 1
    async with Player(server, first.token) as player:
        await player.block(0)
        closing = asyncio.create_task(first.close())  # as Gradio does when the page is closed
        await asyncio.sleep(0)
        closing.cancel()  # even when it does not wait for the end
        await wait_for(third, lambda status: status.state != "queued")
    await first.close()
    assert first.status().result.frames >= 9


async def test_a_lost_visitor_is_waited_for_and_then_given_up(serve):
    server = serve(reconnect_seconds=1)
    session, waiting = server.open(), server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
    status = await wait_for(session, final)
    assert (status.state, status.result.frames) == ("ended", session.status().frames)
    assert "was lost. Press Start" in status.text
    status = await wait_for(waiting, final)  # nobody has ever come for this one
    assert (status.state, status.result) == ("error", None)
    assert "WebSockets" in status.text
    assert len(list(server.service.settings.record_dir.iterdir())) == 1


async def test_a_full_line_is_said_at_once(serve):
    server = serve(queue=1)
    server.open(), server.open()
    with pytest.raises(ServingError, match="1 visitors are waiting already"):
        server.open()


async def test_plays_end_gently_when_nothing_is_pressed(serve):
    server = serve(idle_seconds=1)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.press("KeyW")
        await player.block(4)  # longer than the limit, but a key is held
        await player.press()
        await player.until(lambda: player.of("end"))
    status = await wait_for(session, final)
    assert status.text == "Nothing was pressed for 1 second. Press Start to play again."
    assert status.result.frames > 45


async def test_time_is_limited_only_while_others_wait(serve, monkeypatch):
    monkeypatch.setattr(service, "GRACE", 0.5)
    server = serve(session_seconds=0.5)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(3)
        assert session.status().seconds_left is None
        waiting = server.open()
        status = await wait_for(session, final)
        assert "others are waiting" in status.text
        await wait_for(waiting, lambda status: status.state != "queued")
    assert status.result.frames >= 45


async def test_a_recording_has_an_end(serve):
    server = serve(record_seconds=1)
    session = server.open()
    async with Player(server, session.token):
        status = await wait_for(session, final)
    assert "reached its 1 second" in status.text
    assert status.result.frames >= 25


@pytest.mark.parametrize("plays", [1, 2])
async def test_a_scenario_is_played_to_its_last_frame(serve, plays):
    server = serve(sessions=plays)
    steps = [("forward",), ("back", "look_right"), ("left", "forward"), ("right",)]
    track = ActionTrack.concat([ActionTrack.hold("universal", held, None, 10) for held in steps])
    sessions = [server.open(track=track, title="Four ways", seed=3) for _ in range(plays)]
    for session in sessions:
        seen = [status async for status in session.statuses()]
        assert (seen[-1].state, seen[-1].text, seen[-1].frames) == ("ended", "The scenario is complete.", 45)
        result = seen[-1].result
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
    progress = [m["progress"] for m in player.of("status") if m["state"] == "playing"]
    assert progress == sorted(progress)


async def test_a_scenario_of_another_mode_is_refused(serve):
    session = serve().open(track=ActionTrack.hold("templerun", ["jump"], None, 9))
    status = await wait_for(session, final)
    assert status.state == "error"
    assert "is for Temple Run, but universal plays Universal: choose" in status.text


async def test_a_crash_is_told_and_kept_and_overcome(serve):
    server = serve(sessions=2)
    session, other = server.open("universal-crash"), server.open()
    async with Player(server, session.token) as player, Player(server, other.token) as bystander:
        await bystander.block(0)
        await player.until(lambda: player.of("end"))
        status = await wait_for(session, final)
        assert player.of("end")[0]["state"] == status.state == "error"
        assert status.text.startswith("The engine stopped unexpectedly (exit code 7).")
        assert "press Start to play again" in status.text
        assert len(list(read_frames(status.result.mp4))) == status.result.frames == 33
        assert len(load_scenario(status.result.scenario).track) == 33
        assert (await wait_for(other, final)).state == "error"
    again = server.open()
    async with Player(server, again.token) as player:
        await player.block(2)
    assert server.service.metrics()["crashes_total"] == 1


async def test_who_leaves_keeps_the_place_until_another_wants_it(serve):
    server = serve()
    first = server.open()
    async with Player(server, first.token) as player:
        await player.block(0)
    first.leave()
    async with Player(server, first.token) as player:
        await player.block(2)  # the page was only loaded anew
        first.leave()
        assert first.outcome is None
        second = server.open()
        status = await wait_for(first, final)
    assert "lost while others waited" in status.text and status.result.frames >= 33
    third = server.open()
    third.leave()  # who only waits has nothing to come back to
    assert final(third.status())
    assert second.status().state != "queued" and second.outcome is None


async def test_a_play_followed_by_two_pages_has_not_lost_its_visitor_when_one_goes(serve):
    server = serve()
    session = server.open()
    session.come()
    session.come()
    async with Player(server, session.token) as player:
        await player.block(0)
        waiting = server.open()
        session.leave()
        await player.block(3)
        assert session.outcome is None and waiting.status().state == "queued"
        session.leave()
        assert "lost while others waited" in (await wait_for(session, final)).text


async def test_a_scenario_whose_page_is_gone_ends_like_a_play(serve):
    session = serve(reconnect_seconds=0.5).open(
        "universal-slow", track=ActionTrack.hold("universal", [], None, 600)
    )
    await wait_for(session, lambda status: status.frames)
    session.leave()
    assert "line to your browser was lost" in (await wait_for(session, final)).text


async def test_a_worker_that_hangs_is_ended_and_the_next_play_begins(serve):
    server = serve(worker_timeout_seconds=4)
    session = server.open("universal-hang")
    async with Player(server, session.token):
        status = await wait_for(session, final)
    assert status.text.startswith("The engine stopped unexpectedly (nothing came from it for too long).")
    assert status.result.frames == 33
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
    silence = list(server.service._silence)
    await asyncio.sleep(0.6)  # nobody is there to play for, which is no hanging
    assert server.service._silence == silence


async def test_a_worker_that_does_not_even_read_does_not_hold_up_the_end(serve):
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(0)
    (pid,) = children(os.getpid())
    os.kill(int(pid), signal.SIGSTOP)
    await session.stop()
    server.service.open(PlayRequest("universal", Image.new("RGB", (400, 300))))  # more than its pipe holds
    await asyncio.to_thread(server.service.close)
    assert not Path(f"/proc/{pid}").exists()


async def test_a_model_that_fails_ends_its_own_play_only(serve):
    server = serve(sessions=2)
    session, other = server.open("universal-broken"), server.open()
    async with Player(server, session.token), Player(server, other.token) as bystander:
        status = await wait_for(session, final)
        assert status.text.startswith("The model failed (RuntimeError: the matrix is singular).")
        assert "traceback" not in status.text
        assert status.result.frames == 33
        await bystander.block(5)
    assert server.service.metrics()["crashes_total"] == 0


async def test_a_checkpoint_that_cannot_be_loaded_is_told(serve):
    server = serve()
    session = server.open("missing")
    status = await wait_for(session, final)
    assert (status.state, status.result) == ("error", None)
    assert "missing.safetensors" in status.text
    track = ActionTrack.hold("universal", [], None, 9)
    assert (await wait_for(server.open(track=track), final)).result.frames == 9


async def test_a_film_is_made_of_whole_blocks(serve, monkeypatch):
    """Wherever among a block's frames the end comes."""
    server = serve()
    session = server.open()
    handle = session.handle

    def until_frame_25(event):
        handle(event)
        if getattr(event, "frame", 0) == 25:
            session.end("ended", "Stopped.")

    monkeypatch.setattr(session, "handle", until_frame_25)
    async with Player(server, session.token):
        status = await wait_for(session, final)
    assert len(list(read_frames(status.result.mp4))) == status.result.frames == 21
    assert len(load_scenario(status.result.scenario).track) == 21


async def test_a_full_disk_stops_the_recording_and_not_the_play(serve, monkeypatch):
    add, room = Reel.add, iter(range(20))

    def full(self, packet):
        if next(room, None) is None:
            raise OSError(28, "No space left on device")
        return add(self, packet)

    monkeypatch.setattr(keeping.Reel, "add", full)
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(4)
        result = await session.stop()
    assert "stops at frame 20" in session.status().text
    assert len(list(read_frames(result.mp4))) == result.frames == 20
    assert len(load_scenario(result.scenario).track) == 20


async def test_a_disk_that_fills_up_at_the_end_costs_only_what_is_not_written_yet(serve, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keeping, "overlay_mp4", full)
    add, started = Recording.add, []

    def first_film_only(self, packet, key):
        if self not in started:
            started.append(self)
        return add(self, packet, key) if self is started[0] else full()

    monkeypatch.setattr(keeping.Recording, "add", first_film_only)
    server = serve()
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(2)
        await player.send(type="rewind", node=1)
        await player.until(lambda: player.of("rewound"))
        await player.send(type="step")
        await player.until(lambda: player.of("block")[-1]["parent"] == 1 and player.frames[-1][2] == 20)
        result = await session.stop()
    assert len(started) == 2
    assert len(list(read_frames(result.mp4))) == result.frames == 21
    assert (result.overlay_mp4, result.branches) == (None, ())


async def test_the_limit_counts_what_was_played_not_what_was_made_again(serve):
    server = serve(regenerate=True, record_seconds=3)
    session = server.open()
    async with Player(server, session.token, buffer_ms=480) as player:
        for keys in itertools.cycle((["KeyW"], [])):
            if session.outcome:
                break
            await player.press(*keys)
            await asyncio.sleep(0.1)
        status = await wait_for(session, final)
    again = [block for block in player.of("block") if block["splice"] is not None]
    assert len(again) >= 2 and status.result.frames >= 69


async def test_a_folder_that_cannot_be_written_costs_only_the_recording(serve, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    server = serve(record_dir=tmp_path / "file" / "plays")
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(1)
        assert await session.stop() is None
    assert "stops at frame 0" in session.status().text


async def test_six_visitors_on_four_places(serve):
    server = serve(sessions=4)

    async def visit(key, name):
        session = server.open()
        async with Player(server, session.token) as player:
            await player.press(key)
            block = await player.block(5)
            result = await session.stop()
            await session.close()
            assert block["held"] == [name]
            assert [f[2] for f in player.frames] == list(range(len(player.frames)))
            return result

    keys = [("KeyW", "forward"), ("KeyS", "back"), ("KeyA", "left"), ("KeyD", "right"), ("KeyI", "look_up")]
    results = await asyncio.gather(*(visit(*key) for key in [*keys, ("KeyK", "look_down")]))
    assert all(result.frames >= 69 for result in results)
    assert len({result.mp4 for result in results}) == 6
    assert server.service.health()["playing"] == server.service.health()["queued"] == 0


async def test_each_device_has_a_worker_and_plays_are_spread(serve):
    server = serve(sessions=3, device="cpu, cpu")
    sessions = [server.open() for _ in range(2)]
    for session in sessions:
        async with Player(server, session.token) as player:
            await player.block(0)
    assert [worker["running"] for worker in server.service.health()["workers"]] == [True, True]
    assert len(children(os.getpid())) == 2


async def test_an_image_that_cannot_be_read_is_told(serve):
    file = io.BytesIO()
    Image.new("RGB", (300, 200)).save(file, "PNG")
    broken = Image.open(io.BytesIO(file.getvalue()[:100]))
    with pytest.raises(ServingError, match="choose another one"):
        serve().service.open(PlayRequest("universal", broken))


async def test_closing_the_service_keeps_the_recordings_and_leaves_no_process(serve):
    server = serve(sessions=2)
    session = server.open()
    async with Player(server, session.token) as player:
        await player.block(2)
        (pid,) = children(os.getpid())
        await asyncio.to_thread(server.service.close)
        result = session.status().result
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
from mgdemo.serving import PlayRequest, PlayService, Settings
service = PlayService(Settings(loader="benchmarks.stub_world:load_small", record_dir=Path(sys.argv[1])))
session = service.open(PlayRequest("universal", Image.new("RGB", (64, 48))))
while session.status().state == "loading":
    time.sleep(0.02)
print(session.status().state, flush=True)
time.sleep(60)
"""
    path = os.pathsep.join(str(Path(p).resolve()) for p in sys.path)
    server = subprocess.Popen(
        [sys.executable, "-c", script, tmp_path],
        stdout=subprocess.PIPE, text=True, env=dict(os.environ, PYTHONPATH=path),
    )  # fmt: skip
    assert server.stdout.readline() == "buffering\n"
    (pid,) = children(server.pid)
    server.send_signal(signal.SIGKILL)
    server.wait()
    deadline = time.monotonic() + PATIENCE
    while running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children(pid):
    """Process ids of the workers of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [child for task in tasks for child in (task / "children").read_text().split()]


def running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_old_plays_are_pruned_and_nothing_else(tmp_path):
    names = [f"20260101-00000{i}-0123456789abcdef" for i in range(5)]
    for name in [*names, "my holiday pictures"]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "play.mp4").write_bytes(bytes(400_000))
    (tmp_path / "20260101-000009-0123456789abcdef").write_text("a file of that name")

    def left():
        return [name for name in names if (tmp_path / name).exists()]

    prune(tmp_path, 4, 100, ())
    assert left() == names[1:]
    prune(tmp_path, 4, 1, [tmp_path / names[1]])  # two of 0.4 MB each, and one that is in use
    assert left() == [names[1], *names[3:]]
    assert len(list(tmp_path.iterdir())) == 5


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 second"), (59.5, "60 seconds"), (91, "2 minutes"), (300, "5 minutes")]
)
def test_durations_in_words(seconds, words):
    assert duration(seconds) == words
