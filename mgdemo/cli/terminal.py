"""What a command says and asks at a terminal, beside its results."""

from __future__ import annotations

import sys


def status(text: str) -> None:
    """A line that the next one overwrites; only for people who watch."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def ask(question: str) -> str | None:
    """The line typed, or None at the end of the input."""
    try:
        return input(question).strip()
    except EOFError:
        print()
        return None
