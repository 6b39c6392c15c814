"""Actions typed at a console, in the letters of the reference program."""

from __future__ import annotations

import re

import numpy as np

from mgdemo.actions import Mode
from mgdemo.errors import UserError


class ConsoleError(UserError):
    """Not an action; the message names the legal letters."""


def typed_action(mode: Mode, word: str) -> tuple[np.ndarray, np.ndarray | None]:
    """The action of a word like "i+w", "w a" or "q" (nothing); see `Mode.frame`. Raises ConsoleError."""
    labels = {control.label.casefold(): control for control in mode.controls}
    idle = {"q": "nothing"} | ({"u": "camera still"} if "pitch" in mode.axes else {})
    typed = [letter.casefold() for letter in re.split(r"[\s+]+", word.strip())]
    if wrong := [letter for letter in typed if letter not in labels and letter not in idle]:
        words = [f"{label} ({control.hint.lower()})" for label, control in labels.items()]
        words += [f"{letter} ({hint})" for letter, hint in idle.items()]
        raise ConsoleError(
            f'"{wrong[0]}" is not an action of {mode.title}; type '
            f"{', '.join(words)}{'' if mode.one_hot else ', or several joined by +'}."
        )
    return mode.frame(typed)
