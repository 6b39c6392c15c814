"""Blind votes: which of two films obeys better, and which looks better. Kept in an SQLite file.

Any number of threads and processes may use one file.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from mgdemo.compare.strengths import Duel, Strength, strengths
from mgdemo.errors import UserError

Question = Literal["obeys", "looks"]
Answer = Literal["left", "right", "tie", "both bad"]
QUESTIONS: tuple[Question, ...] = get_args(Question)
ANSWERS: tuple[Answer, ...] = get_args(Answer)
SCORES = {"left": 1.0, "right": 0.0, "tie": 0.5}  # of the left side; "both bad" compares nothing
PATIENCE = 30.0  # seconds that a vote waits for those of other processes
MAX_TEXT = 200  # characters of a name or a hash
MOST = 50_000  # answers in a file
OF_ONE = 1_000  # of them by one voter: whoever votes on and on leaves room for the others
HEAD = 100  # bytes, with the count of changes
SCHEMA = """
CREATE TABLE IF NOT EXISTS votes (
    voter TEXT NOT NULL,
    question TEXT NOT NULL CHECK (question IN ('obeys', 'looks')),
    answer TEXT NOT NULL CHECK (answer IN ('left', 'right', 'tie', 'both bad')),
    left_column TEXT NOT NULL,
    right_column TEXT NOT NULL,
    left_run TEXT NOT NULL,
    right_run TEXT NOT NULL,
    at REAL NOT NULL,
    pair TEXT NOT NULL,
    UNIQUE (voter, question, pair)
)
"""
FIELDS = "voter, question, answer, left_column, right_column, left_run, right_run, at"


class VoteError(UserError):
    """A vote that cannot be kept; the message says why."""


@dataclass(frozen=True)
class Side:
    """One of the two films: the run's key, and the name of its column."""

    run: str
    column: str


@dataclass(frozen=True)
class Vote:
    """An answer as it was given. voter: anonymous, the same for the same person. at: seconds since 1970."""

    voter: str
    question: Question
    answer: Answer
    left: Side
    right: Side
    at: float = field(default_factory=time.time)

    def __post_init__(self):
        """Raises VoteError."""
        if self.question not in QUESTIONS or self.answer not in ANSWERS:
            raise VoteError(f"A vote answers {' or '.join(QUESTIONS)} with one of {', '.join(ANSWERS)}.")
        texts = (self.voter, self.left.run, self.left.column, self.right.run, self.right.column)
        if not all(0 < len(text) <= MAX_TEXT for text in texts):
            raise VoteError("A vote names its voter, two runs and their columns.")
        if self.left.run == self.right.run:
            raise VoteError("A vote compares two different films.")


class Votes:
    """The votes in a file, which is made with the first one."""

    def __init__(self, path: Path):
        self.path = path

    def add(self, votes: Iterable[Vote]) -> None:
        """Keep votes, all or none. A second vote on the same two films changes the first one.

        Raises VoteError if they cannot be written, or if there are more than `MOST`, or `OF_ONE` of a voter.
        """
        rows = [(*_row(vote), " ".join(sorted((vote.left.run, vote.right.run)))) for vote in votes]
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with self._open() as db:
                db.execute("BEGIN IMMEDIATE")
                if db.execute("SELECT COUNT(*) FROM votes").fetchone()[0] > MOST - len(rows):
                    raise VoteError(
                        f"No more votes are taken here, until the host moves {self.path.name} away."
                    )
                db.executemany(
                    f"INSERT INTO votes ({FIELDS}, pair) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (voter, question, pair) DO UPDATE SET answer = excluded.answer, "
                    "left_column = excluded.left_column, right_column = excluded.right_column, "
                    "left_run = excluded.left_run, right_run = excluded.right_run, at = excluded.at",
                    rows,
                )
                for voter in {row[0] for row in rows}:
                    query = "SELECT COUNT(*) FROM votes WHERE voter = ?"
                    if db.execute(query, (voter,)).fetchone()[0] > OF_ONE:
                        raise VoteError(
                            f"You have given {OF_ONE} answers, and more of one voter are not taken here."
                        )
        except (sqlite3.Error, OSError) as error:
            raise VoteError("Your vote could not be kept: the server's disk cannot be written.") from error

    def all(self) -> list[Vote]:
        """Every vote, the oldest first. Raises VoteError if the file cannot be read."""
        if not self.path.is_file():
            return []
        with self._reading() as db:
            rows = db.execute(f"SELECT {FIELDS} FROM votes ORDER BY at, rowid").fetchall()
        return [
            Vote(voter, question, answer, Side(left_run, left), Side(right_run, right), at)
            for voter, question, answer, left, right, left_run, right_run, at in rows
        ]

    def voted(self, voter: str) -> set[frozenset[str]]:
        """The pairs of runs on which a voter has answered every question. Raises VoteError."""
        if not self.path.is_file():
            return set()
        query = "SELECT pair FROM votes WHERE voter = ? GROUP BY pair HAVING COUNT(*) = ?"
        with self._reading() as db:
            return {frozenset(pair.split()) for (pair,) in db.execute(query, (voter, len(QUESTIONS)))}

    def state(self) -> tuple[int, bytes] | None:
        """Another one after each change, cheap to ask for: SQLite counts changes in the file's head."""
        try:
            with self.path.open("rb") as file:
                return os.fstat(file.fileno()).st_ino, file.read(HEAD)
        except OSError:
            return None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._open() as db:
                yield db
        except sqlite3.Error as error:
            raise VoteError(f"{self.path.name} holds no votes that can be read: move it away.") from error

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for each use: they may not go from thread to thread. What it did is kept at
        the end, unless there was an error."""
        db = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        try:
            db.execute(SCHEMA)
            yield db
            if db.in_transaction:
                db.execute("COMMIT")
        finally:
            db.close()  # which undoes what is not committed


@dataclass(frozen=True)
class Standing:
    """The result for one question: the columns' strengths, and how often both films were called bad."""

    question: Question
    votes: int
    both_bad: int
    strengths: tuple[Strength, ...]
    bad: dict[str, int]  # by column


def standing(votes: Iterable[Vote], question: Question, columns: Sequence[str]) -> Standing:
    """Of the votes between two of the `columns`. The order of the votes does not matter."""
    counted = [
        vote
        for vote in votes
        if vote.question == question
        and vote.left.column != vote.right.column
        and {vote.left.column, vote.right.column} <= set(columns)
    ]
    bad = [vote for vote in counted if vote.answer == "both bad"]
    duels = [
        Duel(vote.left.column, vote.right.column, SCORES[vote.answer])
        for vote in counted
        if vote.answer in SCORES
    ]
    return Standing(
        question,
        len(counted),
        len(bad),
        tuple(strengths(duels, columns)),
        {column: sum(column in (vote.left.column, vote.right.column) for vote in bad) for column in columns},
    )


def as_csv(votes: Iterable[Vote]) -> str:
    """One line per vote. Runs have the SHA-256 of their keys: keys lead to films, which may be private."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ["time", "voter", "question", "answer", "left", "right", "left run sha256", "right run sha256"]
    )
    for vote in votes:
        at = datetime.fromtimestamp(vote.at, UTC).isoformat(timespec="seconds")
        runs = [hashlib.sha256(side.run.encode()).hexdigest() for side in (vote.left, vote.right)]
        columns = (vote.left.column, vote.right.column)
        writer.writerow([at, vote.voter, vote.question, vote.answer, *columns, *runs])
    return text.getvalue()


def _row(vote: Vote) -> tuple:
    sides = (vote.left.column, vote.right.column, vote.left.run, vote.right.run)
    return vote.voter, vote.question, vote.answer, *sides, vote.at
