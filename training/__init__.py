"""How the embedded worlds are made: see README.md in this folder."""

from __future__ import annotations

import argparse

import torch


def command(description: str) -> argparse.ArgumentParser:
    """The parser of a stage's command line, whose --help is the stage's docstring."""
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
