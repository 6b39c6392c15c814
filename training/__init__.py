"""How the embedded worlds are made: see README.md in this folder."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from mgdemo.actions import MODES


def command(description: str, *, mode: bool = False) -> argparse.ArgumentParser:
    """The parser of a stage's command line, whose --help is the stage's docstring; with a --mode if asked."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if mode:
        parser.add_argument("--mode", choices=list(MODES), default="universal")
    return parser


def wait_for(file: Path | None) -> None:
    """Return as soon as `file` is there, if one is given."""
    while file and not file.exists():
        time.sleep(0.5)


def best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
