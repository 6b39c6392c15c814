"""How quickly a world is made on this machine: a few of its blocks, timed in a process of its own.

`ask` starts it, since a server does without PyTorch: `python -m mgdemo.probe LOADER CHECKPOINT DEVICE` prints
frames a second.
"""

from __future__ import annotations

import importlib
import logging
import subprocess
import sys
import time
from collections.abc import Mapping

from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.interfaces import Model
from mgdemo.settings import Settings

BLOCKS = 3  # that are timed; the first one warms the device up
PATIENCE = 120  # seconds

log = logging.getLogger(__name__)


def ask(checkpoint: str, settings: Settings, environment: Mapping[str, str]) -> float | None:
    """Frames a second of a small checkpoint on the first device of `settings`, in seconds, most of them to
    start; None if it cannot be found out. environment: that of workers, on which their speed depends.
    """
    device = settings.device.split(",")[0].strip()
    command = [sys.executable, "-m", "mgdemo.probe", settings.loader, checkpoint, device]
    try:
        child = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=True
        )
        return float(child.stdout.splitlines()[-1])
    except (OSError, subprocess.SubprocessError, IndexError, ValueError) as error:
        log.warning("How quickly %s is made here could not be found out: %s", checkpoint, error)
        return None


def frames_a_second(model: Model) -> float:
    """Of a few blocks without any action, after the first."""
    height, width = model.size
    world, frames, seconds = model.start(Image.new("RGB", (width, height)), 0), 0, 0.0
    for block in range(1 + BLOCKS):
        actions, began = ActionTrack.hold(model.mode, [], frames=world.frames_next), time.perf_counter()
        made = len(world.step(actions))
        if block:
            frames, seconds = frames + made, seconds + time.perf_counter() - began
    return frames / seconds


def main(loader: str, checkpoint: str, device: str) -> None:
    module, _, function = loader.partition(":")
    load = getattr(importlib.import_module(module), function)
    print(frames_a_second(load(checkpoint, device=device, optimization="")))


if __name__ == "__main__":
    main(*sys.argv[1:])
