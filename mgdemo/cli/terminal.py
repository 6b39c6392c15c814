"""What a command says and asks at a terminal, beside its results."""

from __future__ import annotations

import sys
from shutil import get_terminal_size


def status(text: str) -> None:
    """A line that the next one overwrites, cut where the terminal ends; only for people who watch."""
    if sys.stderr.isatty():
        width = get_terminal_size().columns - 1  # what is wrapped would not be overwritten
        print(f"\r\033[K{text[:width]}", end="", file=sys.stderr, flush=True)


def ask(question: str) -> str | None:
    """The line typed, or None at the end of the input."""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return None
