"""The votes as the page asks for them: worked out once for each state of their file."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import lru_cache

from mgdemo.compare.plan import Variant
from mgdemo.compare.votes import QUESTIONS, Votes, as_csv
from mgdemo.ui.compare.standing import StandingView, standing_of, titles_of

STANDINGS = 200  # that are remembered, each of some columns


class Results:
    """For any thread; who asks while something is worked out waits for that."""

    def __init__(self, votes: Votes):
        self._votes, self._lock = votes, threading.Lock()
        self._csv = lru_cache(1)(lambda _state: as_csv(votes.all()))
        self._standings = lru_cache(STANDINGS)(self._work_out)

    def csv(self) -> str:
        """Every vote. Raises VoteError."""
        with self._lock:
            return self._csv(self._votes.state())

    def standings(self, columns: Sequence[Variant]) -> list[StandingView]:
        """Of each question, between these columns. Raises VoteError."""
        titles = titles_of(columns)
        with self._lock:
            return self._standings(self._votes.state(), tuple(titles.items()))

    def _work_out(self, _state: object, titles: tuple[tuple[str, str], ...]) -> list[StandingView]:
        votes = self._votes.all()
        return [standing_of(votes, question, dict(titles)) for question in QUESTIONS]
