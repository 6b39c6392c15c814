"""Lengths of time as people write them: 2s, 500ms, 1.5 seconds, 1 min, 18 frames, 4 blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from mgdemo.blocks import BLOCK_FRAMES, FPS

UNIT = 10**9  # parts of a video frame, in which every length that can be written is a whole number


def _spelled(*words: str) -> str:
    """A pattern of words in upper or lower case, for engines that know no flags."""
    return "|".join("".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in word) for word in words)


_NUMBER = r"(?:[0-9]{1,6}(?:\.[0-9]{0,6})?|\.[0-9]{1,6})"
_COUNT = r"0*[1-9][0-9]{0,5}"
_SECONDS = {
    Fraction(1, 1000): ("ms", "msecs?", "milliseconds?"),
    Fraction(1): ("s", "secs?", "seconds?"),
    Fraction(60): ("m", "mins?", "minutes?"),
}
_FRAMES = {1: ("frames?",), BLOCK_FRAMES: ("blocks?",)}
TIME = "|".join(
    [f"{_NUMBER} *(?:{_spelled(*words)})" for words in _SECONDS.values()]
    + [f"{_COUNT} *(?:{_spelled(*words)})" for words in _FRAMES.values()]
)


@dataclass(frozen=True)
class Duration:
    """A length in UNITs; of whole blocks, it is shorter by three frames at the very beginning."""

    units: int
    blocks: bool = False

    @staticmethod
    @lru_cache(1000)
    def of(text: str) -> Duration:
        """The length that is written; `text` matches TIME."""
        for seconds, words in _SECONDS.items():
            if match := re.fullmatch(f"({_NUMBER}) *(?:{_spelled(*words)})", text):
                number = Fraction(match[1] + "0" if match[1].endswith(".") else match[1])
                return Duration(int(number * seconds * FPS * UNIT))
        count = int(re.findall("[0-9]+", text)[0])
        blocks = bool(re.search("[bB]", text))
        return Duration(count * (BLOCK_FRAMES if blocks else 1) * UNIT, blocks)
