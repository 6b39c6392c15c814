"""The judges of the load benchmark notice what they are there for."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import load, watermark
from benchmarks.screen import Screen
from benchmarks.verdict import admitted, logged_errors, order_kept, positions_fell
from benchmarks.visitor import LEVELS, Record
from benchmarks.watching import children
from devtools.web_process import web_process
from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.logs import session_id
from mgdemo.paths import ROOT
from mgdemo.video.encode import H264Encoder, jpeg


def hold(frames, *held):
    return ActionTrack.hold("universal", held, None, frames)


def load_crossed(checkpoint, **options):
    """A loader whose every third world bears the seed of the one before it."""
    model = watermark.load(checkpoint, **options)
    seeds = []

    class Crossed(watermark.Model):
        def start(self, image, seed=0):
            seeds.append(seed)
            return super().start(image, seeds[-2] if len(seeds) % 3 == 0 else seed)

    return Crossed(model.name, model.mode, model.size, model.painter, model.seconds)


@pytest.mark.parametrize("scale", [1, 2.5])
def test_marks_are_read_after_encoding_at_any_size(scale):
    for seed, index in ((0, 0), (1, 65_535), (40_000, 1234)):
        picture = Image.open(io.BytesIO(jpeg(watermark.paint(seed, hold(1), 0, index), 60)))
        size = round(watermark.WIDTH * scale), round(watermark.HEIGHT * scale)
        luma = np.asarray(picture.convert("L").resize(size))
        assert watermark.read(luma) == watermark.Mark(seed, index)


def test_marks_of_two_frames_in_one_are_not_read():
    one, other = (watermark.paint(seed, hold(1), 0, 7)[..., 0].copy() for seed in (1, 2))
    one[: watermark.STRIP // 3] = other[: watermark.STRIP // 3]
    assert watermark.read(one) is None
    assert watermark.read(np.zeros_like(one)) is None


class Stream:
    """What a server sends of a session, and a screen that takes it."""

    def __init__(self, seed, drawn=None):
        self.screen = Screen(seed, lambda: self.now)
        self.now, self.drawn = 0.0, seed if drawn is None else drawn
        self.encoder = H264Encoder(watermark.WIDTH, watermark.HEIGHT, 25)
        size = {"width": watermark.WIDTH, "height": watermark.HEIGHT, "fps": 25, "mode": "universal"}
        rest = {"paused": False, "head": 0, "nodes": [], "reconnect_seconds": 1, "checkpoint": "universal"}
        self.screen.welcome(m.Welcome(codec="h264", codec_string="", seed=seed, frames=None, **size, **rest))

    def block(self, node, first, indices, held=(), splice=None, key=None):
        """Announce a block and send these frames; the last answer."""
        message = m.BlockMessage(
            node=node, parent=node - 1, block=node - 1, first_frame=first, frames=12, splice=splice
        )
        self.screen.announce(message)
        answer = None
        for index in indices:
            packet = self.encoder.encode(
                watermark.paint(self.drawn, hold(1, *held), 0, index), key=index == key
            )
            whole = m.video_packet("h264", index == key, index, node - 1, node, packet)
            answer = self.screen.packet(whole)
        return answer


def test_a_good_stream_is_good_and_its_blocks_are_acknowledged():
    it = Stream(5)
    answer = it.block(1, 0, range(12), key=0)
    assert answer.block == 0 and answer.buffer_ms == pytest.approx(480)
    it.now = 0.3
    assert it.block(2, 12, range(12, 24)).buffer_ms == pytest.approx(660)
    assert it.block(2, 12, range(16, 24), splice=16, key=16) is None
    assert (it.screen.frames, it.screen.foreign, it.screen.trouble) == (32, 0, [])


def test_frames_of_another_are_noticed():
    it = Stream(5, drawn=6)
    it.block(1, 0, range(12), key=0)
    assert (it.screen.foreign, it.screen.trouble) == (12, [])


@pytest.mark.parametrize(
    ("indices", "key", "words"),
    [
        ([0, 1, 3], 0, "frame 3 came in place of 2"),
        ([0, 1, 1], 0, "frame 1 came in place of 2"),
        ([0, 1], None, "the stream begins with frame 0, which is no key frame"),
    ],
)
def test_frames_that_are_missing_or_repeated_are_noticed(indices, key, words):
    it = Stream(5)
    it.block(1, 0, indices, key=key)
    assert words in it.screen.trouble


def test_the_screen_says_when_a_key_is_obeyed():
    async def press():
        it = Stream(5)
        it.block(1, 0, range(12), key=0)
        it.now = 10.0
        it.screen.forget()
        it.block(2, 12, range(12, 24), held=("W",))
        return await it.screen.until(LEVELS["KeyW"], 1), it.screen.trouble

    assert asyncio.run(press()) == (10.0, [])


def came(name, asked, answered):
    return Record(name, asked, answered, token=name)


def test_the_order_of_the_queue_is_that_of_coming():
    crowd = [came("a", 0, 1), came("b", 2, 3), came("c", 2.5, 3.5), came("d", 4, 5)]
    ids = {each.name: session_id(each.name) for each in crowd}
    for good in ("abcd", "acbd", "abd", "cd"):  # b and c came at once
        assert order_kept(crowd, [ids[name] for name in good])
    for bad in ("bacd", "abdc", "dabc"):
        assert not order_kept(crowd, [ids[name] for name in bad])
    assert positions_fell(Record("a", positions=[5, 4, 4, 1]))
    assert not positions_fell(Record("a", positions=[2, 3, 1]))


def test_the_log_says_who_got_a_place_and_what_went_wrong():
    lines = [
        {"level": "info", "message": "A session got a place.", "session": "x"},
        {"level": "error", "message": "A session failed in the web process.", "error": "KeyError"},
        {"level": "info", "message": "A session got a place.", "session": "y"},
    ]
    log = "The page is at …\n" + "\n".join(map(json.dumps, lines))
    assert admitted(log) == ["x", "y"]
    assert len(logged_errors(log)) == 1 and len(logged_errors(f"{log}\nTraceback (most")) == 2


def crowd_at(folder, loader):
    with web_process(folder, **load.settings(7, 2, "process", loader)) as web:
        size = load.Crowd(visitors=7, browsers=0, seconds=0.5, stay=0.5, lone=0.5)
        return asyncio.run(load.measure(web, size))


def test_a_small_crowd_is_served_in_order_and_sees_its_own(tmp_path):
    found = crowd_at(tmp_path, load.LOADER)
    assert (found["foreign_frames"], found["queue_order_kept"], found["what_went_wrong"]) == (0, True, [])
    assert found["played"] >= 4 and found["frames"] > 100 and found["p95_ms"] and found["peak_mb"]


def test_sigterm_ends_the_app_too(tmp_path):
    command = [sys.executable, "-m", "benchmarks.load", "--visitors", "2", "--browsers", "0"]
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    program = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        assert "plays alone" in program.stderr.readline()
        [web] = children(program.pid)
        wait_until(lambda: children(web))
        started = [web, *children(web)]
        program.terminate()
        assert program.wait(60) == 128 + signal.SIGTERM
    finally:
        program.kill()
        program.stderr.close()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
    assert not list(tmp_path.iterdir())


def wait_until(true):
    until = time.monotonic() + 60
    while not true():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_worlds_that_are_mixed_up_are_noticed(tmp_path):
    assert crowd_at(tmp_path, "tests.benchmarks.test_load:load_crossed")["foreign_frames"] > 0
