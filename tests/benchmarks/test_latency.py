"""The latency benchmark's own parts: its world, its figures, and the lines that it puts in between."""

import re
import shutil
import socket
import subprocess
import threading
import time

import numpy as np
import pytest

from benchmarks import latency, stub_world
from mgdemo.actions import ActionTrack

hold = ActionTrack.hold


@pytest.fixture
def world():
    return stub_world.load("universal-1", device="cpu", progress=lambda *_: None).start(None)


def patches(frames):
    """Levels of the two patches in each frame."""
    return [[int(frame[patch].max()) for patch in (stub_world.KEYS, stub_world.TICK)] for frame in frames]


def test_the_stub_world_paints_what_is_held(world):
    assert patches(world.step(hold("universal", [], None, 9))) == [[40, 32 + 24 * (i % 8)] for i in range(9)]
    levels = [patches(world.step(hold("universal", [key], None, 12)))[0][0] for key in "wsad"]
    assert levels == [80, 120, 160, 200]


def test_a_block_made_again_differs_where_its_actions_do(world):
    world.step(hold("universal", [], None, 9))
    first = world.step(hold("universal", [], None, 12))
    track = ActionTrack.concat([hold("universal", [], None, 4), hold("universal", ["w"], None, 8)])
    again = world.regenerate(track)
    assert np.array_equal(again[:4], first[:4])
    assert [(a != b).any() for a, b in zip(again, first, strict=True)] == [False] * 4 + [True] * 8
    assert patches(world.step(hold("universal", [], None, 12)))[0] == [40, 32 + 24 * (21 % 8)]
    snapshot = world.snapshot()
    ahead = world.step(track)
    world.restore(snapshot)
    assert np.array_equal(world.step(track), ahead)


def test_figures_count_presses_stages_and_stalls():
    shown = [[40.0 * i + (160 if i > 50 else 0), i % 8] for i in range(101)]
    presses = [{"at": 0, "sent": 1, "made": 101 + i, "shown": 200 + i} for i in range(101)]
    seen = {
        "presses": [*presses, {"at": 5}],  # the last one was not answered any more
        "shown": shown,
        "buffers": [10, 20, 60],
        "remade": 3,
        "polls": [0.5],
    }
    found = latency.figures(seen, frame_ms=40)
    assert (found["median_ms"], found["p95_ms"], found["presses"]) == (250, 295, 101)
    assert (found["send_ms"], found["wait_ms"], found["play_ms"], found["buffer_ms"]) == (1, 150, 99, 20)
    assert found["frozen"] == round(160 / 4160, 4)
    assert found["longest_ms"] == 200
    assert found["skipped"] == 0
    assert found["frames_per_second"] == round(100 / 4.16, 2)


def test_skipped_frames_are_counted():
    found = latency.evenness([(0, 6), (40, 7), (80, 1), (120, 2)], 40)  # frame 8, whose tick is 0, is missing
    assert (found["skipped"], found["frozen"], found["frames_per_second"]) == (1, 0, round(4000 / 120, 2))


@pytest.fixture
def echo():
    """The port of a server that sends back what it gets."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(1024):
                connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield server.getsockname()[1]
    thread.join(10)
    server.close()


def test_the_slow_line_is_slow_both_ways_and_keeps_the_order(echo):
    with latency.slow_line(echo, 0.05) as address:
        port = int(re.search(r":(\d+)/", address)[1])
        with socket.create_connection(("127.0.0.1", port)) as line:
            began, got = time.monotonic(), b""
            for i in range(20):
                line.sendall(bytes([i]))
                time.sleep(0.002)
            while len(got) < 20:
                got += line.recv(1024)
                assert time.monotonic() - began >= 0.1
            assert got == bytes(range(20))
            line.shutdown(socket.SHUT_WR)
            assert line.recv(1024) == b""


@pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed")
def test_nginx_accepts_its_configuration(tmp_path):
    config = tmp_path / "nginx.conf"
    config.write_text(latency.nginx_config(tmp_path, 8099, 8098, "/worlds"))
    said = subprocess.run(
        ["nginx", "-t", "-p", tmp_path, "-e", "stderr", "-c", config], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr


def test_a_table_tells_what_was_not_measured():
    row = dict.fromkeys(latency.COLUMNS, 1.5) | {"presses": 7}
    lines = latency.table({"direct": row, "nginx": "not measured: nginx is not installed"}).splitlines()
    assert lines[0].split() == [c.removesuffix("_ms") for c in latency.COLUMNS] + ["presses"]
    assert lines[1].split()[-1] == "7"
    assert lines[2] == "nginx  not measured: nginx is not installed"
