"""Work in a process of its own: what comes back from it, and what does not."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mgdemo.apart as helpers
from mgdemo.apart import NICE, ApartError, apart
from mgdemo.errors import UserError
from mgdemo.paths import ROOT

PATIENCE = 60


def where(word):
    print("some library says hello")
    return word, os.getpid(), os.nice(0)


def fail(error):
    raise error


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_result_comes_back_from_another_process_at_lower_priority():
    word, pid, priority = apart(where, "back", patience=PATIENCE)
    assert (word, priority - os.nice(0)) == ("back", NICE)
    assert pid != os.getpid()


@pytest.mark.parametrize("error", [UserError("Do it so."), OSError(28, "No space left"), ValueError("odd")])
def test_errors_that_mean_something_come_back(error):
    with pytest.raises(type(error)) as caught:
        apart(fail, error, patience=PATIENCE)
    assert str(caught.value) == str(error)


def test_a_process_that_dies_or_fails_is_no_answer():
    with pytest.raises(ApartError, match="SIGKILL"):
        apart(die, patience=PATIENCE)
    with pytest.raises(ApartError, match="non-zero exit status 1"):
        apart(fail, ZeroDivisionError("a fault of ours"), patience=PATIENCE)


def take(gib):
    return len(bytearray(round(gib * 2**30)))  # pages of zeros, which are never touched


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_it_has_only_so_much_memory_unless_it_takes_hold_of_a_gpu(monkeypatch):
    assert apart(take, 1, patience=PATIENCE) == 2**30
    monkeypatch.setattr(helpers, "MEMORY_GIB", 2)
    much = 2 + helpers.RESERVED * os.cpu_count() / 2**30
    with pytest.raises(UserError, match="more than 2 GiB of memory: ask for less"):
        apart(take, much, patience=PATIENCE)
    assert apart(take, 0.1, patience=PATIENCE) < 2**30, "it works on"
    assert apart(take, much, patience=PATIENCE, once=True) > 2**31


def test_it_works_where_it_was_asked(tmp_path, monkeypatch):
    for folder in (tmp_path / "one", tmp_path / "other"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        assert apart(os.getcwd, patience=PATIENCE) == str(folder)


def test_short_tasks_share_a_process_that_ends_when_nothing_comes(monkeypatch):
    monkeypatch.setattr(helpers, "_resting", [])
    pids = [apart(os.getpid, patience=PATIENCE) for _ in range(3)]
    assert len(set(pids)) == 1
    assert apart(os.getpid, patience=PATIENCE, once=True) == pids[0]
    monkeypatch.setattr(helpers, "CHILD", "import mgdemo.apart as it; it.IDLE_SECONDS = 0.5; it.main()")
    another = apart(os.getpid, patience=PATIENCE)
    assert another != pids[0], "that one has ended"
    until = time.monotonic() + PATIENCE
    while os.waitid(os.P_PID, another, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert apart(os.getpid, patience=PATIENCE) != another


def test_none_is_left_when_the_program_has_ended():
    program = "import os; from mgdemo.apart import apart; print(apart(os.getpid, patience=60))"
    child = subprocess.run([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    until = time.monotonic() + PATIENCE
    while Path(f"/proc/{int(child.stdout)}").exists():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_only_a_few_work_at_once(monkeypatch):
    monkeypatch.setattr(helpers, "_slots", threading.BoundedSemaphore(1))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(apart, time.sleep, 2, patience=PATIENCE)
        time.sleep(0.5)
        with pytest.raises(ApartError, match="waited too long"):
            apart(os.getpid, patience=0.2)
        assert first.result() is None


def test_it_has_only_so_much_time():
    began = time.monotonic()
    with pytest.raises(ApartError, match="sleep took too long"):
        apart(time.sleep, 60, patience=1)
    assert time.monotonic() - began < 30
