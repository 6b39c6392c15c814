"""The clock of the service goes on, whatever happens at its ticks; health notices if it does not."""

import threading
import time

from mgdemo.serving import clock
from mgdemo.serving.clock import Clock
from tests.faults.test_every_moment import Stage

PATIENCE = 60


def test_a_tick_that_fails_is_not_the_last_one(monkeypatch):
    monkeypatch.setattr(clock, "TICK", 0.01)
    ticks, enough = [], threading.Event()

    def tick():
        ticks.append(time.monotonic())
        if len(ticks) == 3:
            enough.set()
        raise RuntimeError("broken")

    running = Clock(tick)
    running.start()
    assert enough.wait(PATIENCE)
    running.stop()


def test_a_session_that_fails_at_the_clock_ends_and_the_others_are_looked_after(tmp_path):
    stage = Stage(tmp_path, sessions=2)
    other = stage.service.open(stage.session.request)
    looked = threading.Event()

    def fail(now):
        raise RuntimeError("broken")

    stage.session.tick, other.tick = fail, lambda now: looked.set()
    deadline = time.monotonic() + PATIENCE
    while stage.session.status().phase != "error" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stage.session.status().text.startswith("Something went wrong on the server")
    assert looked.wait(PATIENCE) and other.status().phase == "loading"
    stage.service.close()


def test_health_says_when_nobody_looks_after_the_sessions(tmp_path, monkeypatch):
    stage = Stage(tmp_path)
    assert stage.service.health()["status"] == "ok"
    monkeypatch.setattr(clock, "LATE", 0.3)
    hanging, go_on = threading.Event(), threading.Event()

    def tick(now):
        hanging.set()
        stage.service.lock.release()  # so that this test can ask
        go_on.wait(PATIENCE)
        stage.service.lock.acquire()

    stage.session.tick = tick
    assert hanging.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while stage.service.health()["status"] != "stuck" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert stage.service.health()["status"] == "stuck"
    go_on.set()
    stage.service.close()
