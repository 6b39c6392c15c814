import subprocess
from pathlib import Path

import pytest

from tests.support.node import node


@pytest.mark.parametrize("folder", ["player", "compare"])
def test_modules(folder):
    tests = sorted(map(str, (Path(__file__).parent / folder).glob("*.test.js")))
    assert tests
    run = subprocess.run([node(), "--test", *tests], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
