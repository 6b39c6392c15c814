"""The result of the blind votes on the columns of a grid, for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

from mgdemo.compare.ballots import column_name
from mgdemo.compare.plan import Variant
from mgdemo.compare.strengths import Estimate
from mgdemo.compare.votes import Question, Vote, standing

ASKS: dict[Question, str] = {
    "obeys": "Which one follows the controls better?",
    "looks": "Which one looks better?",
}


class StrengthView(TypedDict):
    """A column. chance: that it is preferred to another one, with its 95 % interval; None without answers."""

    title: str
    chance: float | None
    low: float | None
    high: float | None
    strength: float
    wins: int
    ties: int
    losses: int
    bad: int


class StandingView(TypedDict):
    """A question, and the columns from the strongest on."""

    question: str
    asks: str
    votes: int
    both_bad: int
    columns: list[StrengthView]


def titles_of(columns: Sequence[Variant]) -> dict[str, str]:
    """By what votes call the columns."""
    return {column_name(column): column.title or column.checkpoint for column in columns}


def standing_of(votes: Sequence[Vote], question: Question, titles: Mapping[str, str]) -> StandingView:
    """Of all votes between the columns with these titles, on any scenario."""
    found = standing(votes, question, list(titles))
    counted = any(each.wins + each.ties + each.losses for each in found.strengths)
    rows: list[StrengthView] = []
    for each in sorted(found.strengths, key=lambda each: -each.log_odds.value):
        chance: Estimate | None = each.chance if counted else None
        rows.append(
            {
                "title": titles[each.column],
                "chance": chance and chance.value,
                "low": chance and chance.low,
                "high": chance and chance.high,
                "strength": each.log_odds.value,
                "wins": each.wins,
                "ties": each.ties,
                "losses": each.losses,
                "bad": found.bad[each.column],
            }
        )
    return {
        "question": question,
        "asks": ASKS[question],
        "votes": found.votes,
        "both_bad": found.both_bad,
        "columns": rows,
    }
