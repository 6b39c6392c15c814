"""The server is stopped or killed in play: pages are told, and recordings are found again by their token."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from benchmarks.watching import children, workers
from devtools.live_player import Player, end_of, until
from devtools.ports import free_port
from devtools.server_process import ServerProcess
from devtools.web_process import Script, web_process
from mgdemo.paths import ROOT
from mgdemo.scenario import load_scenario
from mgdemo.serving import SessionService, Settings
from mgdemo.video import films
from mgdemo.video.mp4 import read_frames

pytestmark = pytest.mark.anyio

EXIT_SECONDS = 25
SHUT_DOWN = "The server was shut down; reload the page in a minute."
NO_KEYS = "The film with the keys drawn on it could not be made."


@pytest.fixture
def start(tmp_path):
    started = []

    def start(**settings):
        started.append(ServerProcess(tmp_path / "sessions", **settings))
        return started[-1]

    yield start
    for server in started:
        server.process.kill()
        server.process.communicate()


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def helpers(pid):
    """Those of its children that do work apart."""
    lines = {child: Path(f"/proc/{child}/cmdline") for child in children(pid)}
    return [child for child, line in lines.items() if line.exists() and b"mgdemo.apart" in line.read_bytes()]


async def gone(pids):
    async with asyncio.timeout(60):
        while any(map(alive, pids)):
            await asyncio.sleep(0.05)


async def test_sigterm_tells_the_pages_and_writes_the_recordings(start, tmp_path):
    server = start(sessions=2)
    tokens = [server.open() for _ in range(3)]
    players = [Player(server, token) for token in tokens]
    one, two, last = players
    async with one, two, last:
        await one.press("KeyW")
        await one.block(6)
        await two.block(6)
        pids = workers(server.process.pid)
        ending = asyncio.create_task(asyncio.to_thread(server.end, signal.SIGTERM))
        for player in players:
            await player.until(lambda player=player: player.of("end"))
            assert player.of("end")[0]["text"].startswith(SHUT_DOWN)
        seconds, code = await ending
    assert seconds <= EXIT_SECONDS and code == 0
    assert [player.of("end")[0]["recording"] for player in players] == [True, True, False]
    await gone(pids)
    again = start()
    for token, player in zip(tokens[:2], (one, two), strict=True):
        async with Player(again, token) as page:
            await page.until(lambda page=page: page.of("end"))
        assert page.of("end") == player.of("end")
    service = SessionService(Settings(record_dir=tmp_path / "sessions"))
    recording = service.recording_of(tokens[0])
    service.close()
    assert len(list(read_frames(recording.mp4))) == recording.frames >= 6 * 12 + 9
    assert load_scenario(recording.scenario).track.keyboard[-1].any()
    assert recording.mp4.parent.joinpath("ended.json").read_text().count(tokens[0]) == 0


async def test_films_as_they_were_shown_come_before_those_with_keys_which_a_stop_gives_up(tmp_path):
    several = {"MGDEMO_SESSIONS": "5", "MGDEMO_VISITOR_SESSIONS": "0", "MGDEMO_VISITOR_STARTS": "0"}
    ended = {}
    with web_process(tmp_path, module="tests.support.endless_films", **several) as web:
        async with contextlib.AsyncExitStack() as stack:
            players = {}
            for _ in range(5):
                script = await stack.enter_async_context(Script(web))
                token = (await script.start())["token"]
                players[token] = await stack.enter_async_context(Player(web, token))
            *stopped, playing = players.values()
            for player in players.values():
                await player.block(3)
            for player in stopped:
                await player.send(type="stop")
            async with asyncio.timeout(60):
                while not (drawing := helpers(web.process.pid)):
                    await asyncio.sleep(0.05)
            began = time.monotonic()
            web.process.send_signal(signal.SIGTERM)
            for token, player in players.items():
                await player.until(lambda player=player: player.of("end"))
                (ended[token],) = player.of("end")
                words = SHUT_DOWN if player is playing else "Stopped."
                assert ended[token]["text"] == f"{words} {NO_KEYS}"
        assert await asyncio.to_thread(web.process.wait, 60) == 0
        assert time.monotonic() - began <= EXIT_SECONDS
    await gone(drawing)
    assert all(end["recording"] for end in ended.values())
    with web_process(tmp_path) as again:
        for token, end in ended.items():
            async with Player(again, token) as page:
                await page.until(lambda page=page: page.of("end"))
            assert page.of("end") == [end]


async def test_a_service_that_closes_leaves_no_page_without_its_recording(serve, monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(films, "apart", lambda *_, **__: over.wait(120))  # the film with keys, for long
    server = serve(sessions=3)
    sessions = [server.open() for _ in range(3)]
    for session in sessions:
        async with Player(server, session.token) as player:
            await player.block(2)
            await player.send(type="stop")
            await player.until(lambda player=player: player.of("status")[-1]["phase"] == "saving")
    await until(lambda: all(server.service.recording_of(session.token) for session in sessions))
    await asyncio.to_thread(server.service.close)
    for session in sessions:
        ended = await end_of(session)
        assert ended.recording.frames >= 21 and ended.recording.overlay_mp4 is None
        assert ended.text == f"Stopped. {NO_KEYS}"
    over.set()


BUSY = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from mgdemo.apart import apart
from mgdemo.serving import shutdown
shutdown.END_SECONDS = float(sys.argv[1])
stop, pool = shutdown.StopSignal(), ThreadPoolExecutor()
pool.submit(apart, time.sleep, 3600, patience=3600)
pool.submit(time.sleep, float(sys.argv[2]))
print("ready", flush=True)
stop.serve(lambda: True, lambda: pool.shutdown(wait=False))
"""


@pytest.mark.parametrize(
    ("end_seconds", "thread_seconds"),
    [pytest.param(3600, 0, id="another process is at work"), pytest.param(2, 3600, id="a thread is at work")],
)
async def test_a_stopped_program_ends_even_though(end_seconds, thread_seconds):
    command = [sys.executable, "-c", BUSY, str(end_seconds), str(thread_seconds)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        async with asyncio.timeout(60):
            while not (working := helpers(process.pid)):
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
        await gone(working)
    finally:
        process.kill()
        process.communicate()


async def test_no_session_begins_while_the_server_ends(start):
    server = start()
    token = server.open("universal-300")
    async with Player(server, token) as player:
        await player.block(1)
        server.process.send_signal(signal.SIGTERM)
        await player.until(lambda: player.of("status")[-1]["phase"] == "saving" or player.of("end"))
        assert server.process.stdout.readline() == "Ending: recordings are being written.\n"
        assert "shutting down" in server.open()


async def test_a_killed_server_leaves_films_for_the_pages_that_come_back(start, tmp_path):
    server = start(sessions=2)
    tokens = [server.open(), server.open()]
    async with Player(server, tokens[0]) as one, Player(server, tokens[1]) as two:
        await one.press("KeyW")
        await one.block(4)
        await one.send(type="rewind", node=2)
        await one.until(lambda: one.of("rewound"))
        await one.send(type="pause", on=False)
        await one.until(lambda: one.nodes[-1] >= 9)
        await two.block(9)
        pids = workers(server.process.pid)
        server.end(signal.SIGKILL)
        await one.until(lambda: one.closed)
        await two.until(lambda: two.closed)
    await gone(pids)
    again = start()
    for token in tokens:
        async with Player(again, token) as page:
            await page.until(lambda page=page: page.of("end"))
        assert page.of("end")[0]["text"].startswith("The server was restarted during your session.")
        assert page.of("end")[0]["recording"]
    again.end(signal.SIGTERM)
    service = SessionService(Settings(record_dir=tmp_path / "sessions"))
    branched, straight = map(service.recording_of, tokens)
    assert len(list(read_frames(straight.mp4))) == straight.frames >= 9 * 12
    assert len(list(read_frames(branched.mp4))) == branched.frames >= 4 * 12
    (other,) = branched.branches
    assert other.left_at == 21 and other.frames >= 4 * 12 + 9
    assert len(list(read_frames(other.write().mp4))) == other.frames
    service.close()


async def test_another_server_with_the_same_folder_leaves_a_running_session_alone(start):
    server = start()
    token = server.open()
    async with Player(server, token) as player:
        await player.block(2)
        other = start()
        async with Player(other, token) as page:
            await page.until(lambda: page.closed)
        assert page.closed[0] == 4404
        await player.block(player.of("block")[-1]["block"] + 3)


async def test_the_command_itself_ends_at_sigterm(tmp_path):
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "mgdemo", "app", "--no-browser", "--port", str(free_port())]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert "The page is at" in await asyncio.to_thread(process.stdout.readline)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 60) == 0
        assert time.monotonic() - began <= EXIT_SECONDS
        assert "Ending" in process.stdout.read()
    finally:
        process.kill()
        process.communicate()
