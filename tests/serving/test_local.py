"""The worker's process, seen from outside."""

import os
import subprocess
import sys

import pytest

from mgdemo.serving.engines.process import _reason, cores


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
