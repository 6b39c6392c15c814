"""What a command says and asks at a terminal, beside its results."""

from __future__ import annotations

import sys
from shutil import get_terminal_size
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


def status(text: str) -> None:
    """A line that the next one overwrites, cut where the terminal ends; only for people who watch."""
    if sys.stderr.isatty():
        width = get_terminal_size().columns - 1  # what is wrapped would not be overwritten
        print(f"\r\033[K{text[:width]}", end="", file=sys.stderr, flush=True)


def frames_bar(total: int) -> tqdm:
    """A bar of so many video frames, with their rate and the time left; only for people who watch."""
    from tqdm import tqdm

    return tqdm(total=total, unit=" frames", disable=None, dynamic_ncols=True, leave=False)


def ask(question: str) -> str | None:
    """The line typed, or None at the end of the input."""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return None
