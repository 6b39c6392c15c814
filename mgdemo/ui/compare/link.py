"""Links to a comparison and a moment in it."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from urllib.parse import unquote

from mgdemo.compare.grids import ID
from mgdemo.ui.compare.choice import Choice
from mgdemo.ui.share import COMPARE, DAMAGED, MAX_LINK, ShareError, packed, unpacked

AT = "&at="  # before what the player shows; the page adds it
MAX_AT = 500  # characters


@dataclass(frozen=True)
class ComparisonLink:
    """grid: its id, "" where only a choice is shared. choice: None where it holds files of somebody's own,
    which fit into no link. at: what the lockstep player shows, as its `link()` says it."""

    grid: str
    choice: Choice | None
    at: str = ""


def fragment(grid: str, choice: Choice | None) -> str:
    """The fragment of the link, without "#" and without a moment."""
    fields = {"grid": grid, "choice": None if choice is None or choice.private else choice.text()}
    return COMPARE + packed(fields)


def parse(text: str) -> ComparisonLink:
    """What a link's fragment says. Raises ShareError, for a stranger's link as for one that is cut off."""
    try:
        if len(text) > MAX_LINK or not text.startswith(COMPARE):
            raise ValueError("none of ours")
        first, _, moment = text.removeprefix(COMPARE).partition(AT)
        fields, at = unpacked(first), unquote(moment)
        if not isinstance(fields, dict) or len(at) > MAX_AT:
            raise ValueError("none of ours")
        grid, choice = fields.get("grid"), fields.get("choice")
        if not isinstance(grid, str) or (grid and not ID.fullmatch(grid)):
            raise ValueError("no grid")
        return ComparisonLink(grid, None if choice is None else Choice.read(choice), at)
    except (ValueError, TypeError, zlib.error, RecursionError) as error:
        raise ShareError(DAMAGED) from error
