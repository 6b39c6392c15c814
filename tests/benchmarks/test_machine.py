"""Cores for one side of a benchmark only."""

import os
import subprocess
import sys

import pytest

from benchmarks.machine import split_cores, starting_on


def cores_of_a_child():
    code = "import os; print(*os.sched_getaffinity(0))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    return set(map(int, told.split()))


def test_what_is_started_meanwhile_computes_on_the_cores_named_and_no_other():
    mine = os.sched_getaffinity(0)
    with starting_on({min(mine)}):
        assert cores_of_a_child() == {min(mine)}
    assert cores_of_a_child() == os.sched_getaffinity(0) == mine


def test_cores_are_split_as_long_as_some_are_left():
    mine = os.sched_getaffinity(0)
    own, others = split_cores(len(mine) - 1)
    assert own | others == mine and len(others) == 1 and not own & others
    for wrong in (0, len(mine)):
        with pytest.raises(SystemExit, match="leave none for the browsers"):
            split_cores(wrong)
