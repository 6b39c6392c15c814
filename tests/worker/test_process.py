"""The worker's process, from its pipes."""

import subprocess
import sys
import threading
from types import SimpleNamespace

import pytest
from PIL import Image

from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.settings import Settings
from mgdemo.worker.link import Link

CONFIGURE = m.Configure(settings=Settings(loader="benchmarks.stub_world:load_small"), device="cpu")


@pytest.fixture
def process(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", ":".join(filter(None, sys.path)))
    command = "from mgdemo.worker import link, process; link.HEARTBEAT = 0.05; process.main()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        timer = threading.Timer(60, child.kill)
        timer.start()
        yield child
        timer.cancel()
        child.kill()


def say(process, *commands):
    for command in commands:
        process.stdin.write(m.encode(command))
    process.stdin.flush()


def until(process, condition):
    """The first event that meets a condition."""
    while (event := m.read(process.stdout, m.Event)) is not None:
        if condition(event):
            return event
    raise AssertionError(process.stderr.read().decode())


def opened(checkpoint):
    track = ActionTrack.hold("universal", [], None, 45)
    return m.Open(session="a", checkpoint=checkpoint, image=Image.new("RGB", (64, 48)), track=track)


def test_a_scenario_is_played_and_the_process_ends_with_its_input(process):
    say(process, CONFIGURE, opened("universal"))
    assert until(process, lambda event: event.type == "ready").mode == "universal"
    assert until(process, lambda event: event.type == "finished").session == "a"
    assert until(process, lambda event: event.type == "heartbeat").stuck_seconds == 0
    process.stdin.close()
    assert process.wait(20) == 0


def test_heartbeats_come_and_tell_that_a_block_hangs(process):
    say(process, CONFIGURE)
    assert until(process, lambda event: True).model_copy(update={"memory_bytes": None}) == m.Heartbeat()
    say(process, opened("universal-hang"))
    until(process, lambda event: event.type == "block" and event.message.block == 2)
    stuck = until(process, lambda event: event.type == "heartbeat" and event.stuck_seconds > 0.2)
    later = until(process, lambda event: event.type == "heartbeat").stuck_seconds
    assert later > stuck.stuck_seconds


def test_whatever_else_prints_does_not_print_into_the_events(process, tmp_path, monkeypatch):
    loader = tmp_path / "chatty.py"
    loader.write_text("from benchmarks.stub_world import *\nprint('hello from a library', flush=True)\n")
    process.kill()
    monkeypatch.setenv("PYTHONPATH", ":".join([str(tmp_path), *filter(None, sys.path)]))
    command = "from mgdemo.worker.process import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as child:
        say(
            child,
            m.Configure(settings=Settings(loader="chatty:load_small"), device="cpu"),
            opened("universal"),
        )
        until(child, lambda event: event.type == "finished")
        child.stdin.close()
        assert b"hello from a library" in child.stderr.read()


@pytest.mark.parametrize("first", [b"no command at all", m.encode(m.Warm(checkpoint="universal"))])
def test_what_is_no_configuration_ends_it(process, first):
    process.stdin.write(first)
    process.stdin.close()
    assert process.wait(20) == 1
    assert b"BadMessage" in process.stderr.read()


def test_garbage_after_that_ends_it_too(process):
    say(process, CONFIGURE)
    process.stdin.write(b"garbage" * 10)
    process.stdin.flush()
    assert process.wait(20) == 0


def test_a_worker_that_cannot_be_told_anything_any_more_ends():
    class Commands:
        def read(self, size):
            raise MemoryError

    gone = threading.Event()
    link = Link(Commands(), lambda data, sure: None, gone.set)
    link.attend(SimpleNamespace(heartbeat=m.Heartbeat))
    assert gone.wait(20)
