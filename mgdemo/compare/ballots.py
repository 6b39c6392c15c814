"""Two films of a grid without names, on sides drawn by lot; their names once they are voted on."""

from __future__ import annotations

import random
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from mgdemo.compare.jobs import Job
from mgdemo.compare.plan import Case, Run, Variant
from mgdemo.compare.votes import QUESTIONS, Answer, Question, Side, Vote, VoteError, Votes

OPEN = 500  # ballots that wait for their votes; the oldest is forgotten
OWN = 4  # of one voter, in as many tabs


@dataclass(frozen=True)
class Ballot:
    """Two films of a row. token: all that the page knows of them; left, right: not shown before the vote."""

    token: str
    voter: str
    left: Run
    right: Run
    films: tuple[Path, Path]

    @property
    def case(self) -> Case:
        return self.left.case


@dataclass(frozen=True)
class Progress:
    """How far a voter is: pairs of finished films of a grid, and those of them that are voted on."""

    voted: int
    pairs: int


class Ballots:
    """Hands ballots out and takes votes in; for any thread."""

    def __init__(self, votes: Votes, lot: random.Random | None = None):
        """lot: decides on pairs and sides; by default one that nobody can predict."""
        self.votes = votes
        self._lot = lot or random.SystemRandom()
        self._open: OrderedDict[str, Ballot] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, job: Job, voter: str) -> Ballot | None:
        """Two finished films that the voter has not voted on; None if there are none. Raises VoteError."""
        voted = self.votes.voted(voter)
        open_pairs = [pair for names, pair in _pairs(job).items() if names not in voted]
        if not open_pairs:
            return None
        (left, left_film), (right, right_film) = self._lot.sample(self._lot.choice(open_pairs), 2)
        ballot = Ballot(secrets.token_urlsafe(16), voter, left, right, (left_film, right_film))
        with self._lock:
            own = [token for token, each in self._open.items() if each.voter == voter]
            for token in own[: len(own) - OWN + 1]:
                del self._open[token]
            self._open[ballot.token] = ballot
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
        return ballot

    def progress(self, job: Job, voter: str) -> Progress:
        """Raises VoteError."""
        pairs, voted = _pairs(job), self.votes.voted(voter)
        return Progress(len(voted & pairs.keys()), len(pairs))

    def get(self, token: str) -> Ballot | None:
        """A ballot that waits for its vote."""
        with self._lock:
            return self._open.get(token)

    def cast(self, token: str, answers: Mapping[Question, Answer]) -> Ballot:
        """Keep the answer to each question; the ballot, whose names may be shown now. Raises VoteError."""
        ballot = self.get(token)
        if ballot is None:
            raise VoteError("These two films are not known here any more: take the next pair.")
        if set(answers) != set(QUESTIONS):
            raise VoteError("Answer both questions.")
        left, right = (Side(run.key, column_name(run.variant)) for run in (ballot.left, ballot.right))
        self.votes.add(
            Vote(ballot.voter, question, answer, left, right) for question, answer in answers.items()
        )
        with self._lock:
            self._open.pop(token, None)
        return ballot


def column_name(variant: Variant) -> str:
    """A column as votes name it: checkpoint, the weights that it had, and settings."""
    name = f"{variant.checkpoint}@{variant.weights[:8]}"
    if variant.optimization:
        name += f", {variant.optimization}"
    return name if variant.seed is None else f"{name}, seed {variant.seed}"


def _pairs(job: Job) -> dict[frozenset[str], tuple[tuple[Run, Path], tuple[Run, Path]]]:
    """Every two finished runs of a row with different films, by their keys; each with its film."""
    films = {s.key: s.stored.video for s in job.states() if s.stored and s.stored.video.is_file()}
    found = {}
    for row in job.grid.runs:
        made = [(run, films[run.key]) for run in row if run.key in films]
        for one, other in combinations(made, 2):
            if one[0].key != other[0].key:
                found[frozenset((one[0].key, other[0].key))] = (one, other)
    return found
