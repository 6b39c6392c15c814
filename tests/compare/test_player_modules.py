import subprocess
from pathlib import Path

from tests.support.node import node


def test_lockstep_modules():
    tests = sorted(map(str, (Path(__file__).parent / "player").glob("*.test.js")))
    assert tests
    run = subprocess.run([node(), "--test", *tests], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
