"""The drawing in docs/architecture.md, as imports."""

import subprocess
import sys

import pytest

from devtools.house import ROOT, imports

WITHOUT_TORCH = (
    "ui",
    "serving",
    "compare",
    "measure",
    "messages",
    "settings",
    "scenario",
    "wbench",
    "actions",
    "blocks",
    "checkpoints",
)
# Top to bottom: what stands below imports nothing from above.
LAYERS = (
    {"cli", "__main__"},
    {"ui"},
    {"compare", "wbench"},
    {"serving"},
    {"worker"},
    {"render"},
    {"world", "loading"},
    {"model", "weight_files", "video", "replay"},
)


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_the_web_side_does_not_load_torch(room):
    code = f"import sys, mgdemo.{room}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


PLAYS = """
import sys
from PIL import Image
from mgdemo.actions import ActionTrack
from mgdemo.checkpoints import start_images
from mgdemo.loading import load_world_model

model = load_world_model("universal-tiny", device="cpu")
world = model.start(Image.open(start_images("universal-tiny")[0]), seed=1)
world.step(ActionTrack.hold("universal", ["forward"], frames=world.frames_next))
sys.exit("torch._dynamo" in sys.modules)
"""


def test_a_world_plays_on_the_cpu_without_pytorchs_compiler():
    """Importing it takes longer than loading an embedded world."""
    assert subprocess.run([sys.executable, "-c", PLAYS], cwd=ROOT).returncode == 0


def test_imports_point_down():
    level = {room: at for at, rooms in enumerate(LAYERS) for room in rooms}

    def height(module: str) -> int:
        return level.get([*module.split("."), ""][1], len(LAYERS))

    arrows = {name: others for name, others in imports(ROOT).items() if name.startswith("mgdemo.")}
    upward = [(name, other) for name in arrows for other in arrows[name] if height(other) < height(name)]
    assert not upward
