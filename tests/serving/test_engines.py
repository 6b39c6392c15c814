"""The engine: a worker's process, seen from outside."""

import os
import queue
import subprocess
import sys
import time

import pytest

from mgdemo import messages as m
from mgdemo.serving.engines import EngineHealth, process
from mgdemo.serving.engines.hearing import Hearing
from mgdemo.serving.engines.process import _reason
from mgdemo.settings import Settings
from mgdemo.worker.threads import cores


def test_the_web_process_needs_no_torch():
    code = "import sys, mgdemo.serving; sys.exit('torch' in sys.modules or 'gradio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("quota", "count"), [("150000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("", None)]
)
def test_cores_are_those_that_a_container_grants(tmp_path, quota, count):
    (tmp_path / "cpu.max").write_text(quota)
    assert cores(tmp_path / "cpu.max") == (count or len(os.sched_getaffinity(0)))
    assert cores(tmp_path / "missing") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("code", "words"), [(1, "exit code 1"), (-9, "SIGKILL, often because memory"), (-11, "SIGSEGV")]
)
def test_why_it_crashed(code, words):
    assert words in _reason(code)


@pytest.mark.parametrize(
    ("health", "trouble"),
    [
        (EngineHealth("cpu", False, 999, m.Heartbeat(stuck_seconds=999)), ""),
        (EngineHealth("cpu", True, 9, m.Heartbeat(stuck_seconds=9)), ""),
        (EngineHealth("cpu", True, 11, m.Heartbeat(stuck_seconds=0)), "nothing came from it for too long"),
        (EngineHealth("cpu", True, 1, m.Heartbeat(stuck_seconds=11)), "it made no progress for too long"),
    ],
)
def test_heartbeats_tell_whether_a_worker_lives(health, trouble):
    assert health.trouble(timeout=10) == trouble
    assert health.trouble(timeout=0) == ""


def test_a_worker_that_sends_garbage_is_ended(monkeypatch):
    monkeypatch.setattr(process, "WORKER", "import time; print('Traceback: no', flush=True); time.sleep(60)")
    lost = queue.Queue()
    engine = process.ProcessEngine(Settings(), "cpu", print, lost.put)
    engine.send(m.Warm(checkpoint="universal"))
    assert "it sent what cannot be read: messages begin with b'mgd3'" in lost.get(timeout=20)
    assert not engine.health().running
    engine.close()


def test_a_worker_that_cannot_be_started_is_lost_and_the_next_one_starts(monkeypatch):
    monkeypatch.setattr(process, "WORKER", "print('Traceback: no', flush=True)")

    def full(*_args, **_kwargs):
        raise OSError(12, "Cannot allocate memory")

    lost = queue.Queue()
    engine = process.ProcessEngine(Settings(), "cpu", print, lost.put)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", full)
        engine.send(m.Warm(checkpoint="universal"))
        assert "it could not be started: [Errno 12] Cannot allocate memory" in lost.get(timeout=20)
    engine.send(m.Warm(checkpoint="universal"))
    assert "it sent what cannot be read" in lost.get(timeout=20)
    engine.close()


def test_a_worker_that_nobody_can_hear_is_lost(monkeypatch):
    monkeypatch.setattr(process, "WORKER", "import time; time.sleep(60)")
    lost = queue.Queue()

    def fail(self, stream):
        raise MemoryError

    monkeypatch.setattr(Hearing, "read", fail)
    engine = process.ProcessEngine(Settings(), "cpu", print, lost.put)
    engine.send(m.Warm(checkpoint="universal"))
    assert "(it cannot be heard)" in lost.get(timeout=20)
    engine.close()


def test_an_engine_is_silent_until_its_worker_speaks(monkeypatch):
    monkeypatch.setattr(process, "WORKER", "import time; time.sleep(60)")
    lost = queue.Queue()
    engine = process.ProcessEngine(Settings(), "cpu", print, lost.put)
    assert engine.health() == EngineHealth("cpu", False)
    engine.send(m.Warm(checkpoint="universal"))
    while not engine.health().silent_seconds:
        time.sleep(0.01)
    assert engine.health().trouble(timeout=1e-9) == "nothing came from it for too long"
    engine.kill("it was enough")
    assert "(it was enough)" in lost.get(timeout=20)
    engine.close()
