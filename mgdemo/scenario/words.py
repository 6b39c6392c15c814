"""Words in error messages, and patterns of words for the JSON Schema."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable


def any_case(words: Iterable[str]) -> str:
    """The pattern of words in upper or lower case."""

    def letter(c: str) -> str:
        return f"[{c.lower()}{c.upper()}]" if c.isalpha() else c

    return "^(?:" + "|".join("".join(map(letter, word)) for word in words) + ")$"


def words_schema(words: Iterable[str]) -> dict:
    """JSON Schema of words, as they are offered and in upper or lower case."""
    words = list(words)
    return {"type": "string", "anyOf": [{"enum": words}, {"pattern": any_case(words)}]}


def either(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} or {last}" if most else last


def quoted(text: object) -> str:
    text = printable(str(text))
    return f'"{text if len(text) <= 40 else text[:40] + "…"}"'


def printable(text: str) -> str:
    """One line without control characters and lone surrogates, which files and pages choke on."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "", " ".join(text.split()))


def meant(word: str, words: Iterable[str]) -> str:
    """A question after the word that may be meant, if one is near."""
    near = {known.casefold(): known for known in reversed(list(words))}
    found = difflib.get_close_matches(word.casefold()[:40], near, n=1, cutoff=0.7)
    return f" (did you mean {near[found[0]]}?)" if found else ""
