"""Node, for tests of the page's modules."""

import shutil
from pathlib import Path

import playwright


def node() -> str:
    """The Node of this machine, or the one that Playwright brings along."""
    return shutil.which("node") or str(Path(playwright.__file__).parent / "driver" / "node")
