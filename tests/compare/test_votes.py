"""Blind votes: kept by many at once, counted, and turned into strengths with honest intervals."""

import csv
import io
import multiprocessing
import random
import sqlite3
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest

from mgdemo.compare.strengths import Duel, strengths
from mgdemo.compare.votes import QUESTIONS, Side, Vote, VoteError, Votes, as_csv, standing

TRUTH = {"a": 1.2, "b": 0.3, "c": -0.4, "d": -1.1}  # their mean is 0


def chance(i, j):
    return 1 / (1 + np.exp(TRUTH[j] - TRUTH[i]))


def duel(chooser, ties=0.0):
    """A voter's answer on two columns: each wins as often as its strength says, ties counted as halves."""
    left, right = chooser.sample(sorted(TRUTH), 2)
    drawn = ties * 2 * min(chance(left, right), chance(right, left))
    point, win = chooser.random(), chance(left, right) - drawn / 2
    return Duel(left, right, 1.0 if point < win else 0.5 if point < win + drawn else 0.0)


def covered(ties, votes, rounds=400, seed=1):
    """How often intervals hold the true strengths, and the true mean chances against the others."""
    chooser, odds, chances = random.Random(seed), [], []
    for _ in range(rounds):
        for found in strengths([duel(chooser, ties) for _ in range(votes)], sorted(TRUTH)):
            true = np.mean([chance(found.column, other) for other in TRUTH if other != found.column])
            odds.append(found.log_odds.low <= TRUTH[found.column] <= found.log_odds.high)
            chances.append(found.chance.low <= true <= found.chance.high)
    return np.mean(odds), np.mean(chances)


@pytest.mark.parametrize("votes", [60, 300])
def test_intervals_hold_the_true_strengths_as_often_as_they_say(votes):
    for share in covered(0.0, votes):
        assert 0.93 <= share <= 0.97


def test_with_ties_intervals_are_not_too_narrow():
    for share in covered(0.5, 200):
        assert share >= 0.95


def test_many_votes_find_the_strengths_themselves():
    chooser = random.Random(3)
    found = strengths([duel(chooser, 0.2) for _ in range(20_000)], sorted(TRUTH))
    assert [each.log_odds.value for each in found] == pytest.approx(list(TRUTH.values()), abs=0.08)
    assert all(each.log_odds.high - each.log_odds.low < 0.2 for each in found)


def test_the_order_of_votes_and_of_sides_does_not_matter():
    chooser = random.Random(4)
    duels = [duel(chooser, 0.2) for _ in range(100)]
    turned = [Duel(each.right, each.left, 1 - each.score) for each in chooser.sample(duels, len(duels))]
    assert strengths(duels, sorted(TRUTH)) == strengths(turned, sorted(TRUTH))


def test_two_columns_have_the_chances_of_their_wins():
    duels = [Duel("a", "b", 1.0)] * 750 + [Duel("b", "a", 1.0)] * 250
    a, b = strengths(duels, "ab")
    assert a.chance.value == pytest.approx(0.75, abs=0.003) and b.chance.value == pytest.approx(
        0.25, abs=0.003
    )
    wald = 1.96 * np.sqrt(0.75 * 0.25 / 1000)
    assert (a.chance.low, a.chance.high) == pytest.approx((0.75 - wald, 0.75 + wald), abs=0.004)
    assert (a.wins, a.losses, b.wins, b.losses) == (750, 250, 250, 750)


def test_an_unbeaten_column_stays_finite_and_ahead():
    a, b, c = strengths([Duel("a", "b", 1.0)] * 1000 + [Duel("b", "c", 1.0)], "abc")
    assert np.isfinite([a.log_odds.value, a.log_odds.low, a.log_odds.high, c.log_odds.low]).all()
    assert a.log_odds.value > b.log_odds.value > c.log_odds.value
    assert 0.5 < a.chance.value < 1 and a.chance.high <= 1


def test_a_single_vote_proves_nothing():
    a, b = strengths([Duel("a", "b", 1.0)], "ab")
    assert 0.5 < a.chance.value < 0.9 and a.chance.low < 0.5 < b.chance.high


def test_no_votes_one_column_no_column():
    a, b = strengths([], "ab")
    assert a.log_odds.value == b.log_odds.value == 0 and a.chance.low < 0.2 and a.chance.high > 0.8
    (alone,) = strengths([Duel("a", "gone", 1.0), Duel("a", "a", 1.0)], "a")
    assert alone.chance is None and alone.log_odds.value == 0 and alone.wins == 0
    assert strengths([], []) == []
    with pytest.raises(ValueError, match="named once"):
        strengths([], "aa")


def vote(voter, answer, question="obeys", left="a", right="b", row=0):
    return Vote(voter, question, answer, Side(f"{left}{row}", left), Side(f"{right}{row}", right), 1e9)


def test_votes_are_counted_by_question_and_both_bad_apart(tmp_path):
    votes = Votes(tmp_path / "deep" / "votes.sqlite3")
    assert votes.all() == []
    votes.add([vote("x", "left"), vote("x", "tie", "looks"), vote("y", "both bad"), vote("z", "right")])
    votes.add([vote("x", "left", right="c"), vote("x", "left", left="c", right="d")])
    obeys, looks = (standing(votes.all(), question, ["a", "b"]) for question in QUESTIONS)
    assert (obeys.votes, obeys.both_bad, obeys.bad) == (3, 1, {"a": 1, "b": 1})
    assert [(each.wins, each.ties, each.losses) for each in obeys.strengths] == [(1, 0, 1)] * 2
    assert (looks.votes, looks.both_bad) == (1, 0) and looks.strengths[0].ties == 1


def test_who_votes_again_on_the_same_films_changes_the_answer(tmp_path):
    votes = Votes(tmp_path / "votes.sqlite3")
    votes.add([vote("x", "left"), vote("x", "left", row=1), vote("y", "left")])
    votes.add([vote("x", "left", left="b", right="a")])  # the sides were the other way round
    assert len(votes.all()) == 3
    found = standing(votes.all(), "obeys", ["a", "b"]).strengths
    assert [(each.wins, each.losses) for each in found] == [(2, 1), (1, 2)]


def test_a_vote_that_says_nothing_is_refused():
    for wrong in (
        lambda: vote("x", "up"),
        lambda: vote("x", "left", "smells"),
        lambda: vote("", "left"),
        lambda: vote("x" * 500, "left"),
        lambda: vote("x", "left", right="a"),
    ):
        with pytest.raises(VoteError):
            wrong()


def test_trouble_with_the_file_is_told_and_keeps_nothing_by_halves(tmp_path):
    path = tmp_path / "votes.sqlite3"
    path.write_bytes(b"this is no database, but a long text about one" * 100)
    with pytest.raises(VoteError, match="move it away"):
        Votes(path).all()
    with pytest.raises(VoteError, match="could not be kept"):
        Votes(path).add([vote("x", "left")])
    votes = Votes(tmp_path / "others.sqlite3")
    votes.add([vote("x", "left")])
    with sqlite3.connect(votes.path) as db:
        db.execute(
            "CREATE TRIGGER no BEFORE INSERT ON votes WHEN new.voter = 'z' "
            "BEGIN SELECT RAISE(FAIL, 'no'); END"
        )
    with pytest.raises(VoteError):
        votes.add([vote("y", "left"), vote("z", "left")])
    assert [each.voter for each in votes.all()] == ["x"]


def _many(path, name, count):
    for i in range(count):
        Votes(path).add([vote(f"{name}{i}", "left"), vote(f"{name}{i}", "tie", "looks")])


def test_many_processes_and_threads_vote_at_once(tmp_path):
    path = tmp_path / "votes.sqlite3"
    with ProcessPoolExecutor(3, mp_context=multiprocessing.get_context("spawn")) as processes:
        jobs = [processes.submit(_many, path, f"process {i} ", 20) for i in range(3)]
        with ThreadPoolExecutor(4) as threads:
            jobs += [threads.submit(_many, path, f"thread {i} ", 20) for i in range(4)]
        for job in jobs:
            job.result()
    assert len(Votes(path).all()) == 7 * 20 * 2


def test_a_file_of_votes_has_an_end_and_loses_none(tmp_path, monkeypatch):
    monkeypatch.setattr("mgdemo.compare.votes.MOST", 3)
    votes = Votes(tmp_path / "votes.sqlite3")
    votes.add([vote("x", "left"), vote("x", "tie", "looks")])
    with pytest.raises(VoteError, match=r"until the host moves votes\.sqlite3 away"):
        votes.add([vote("y", "left"), vote("y", "tie", "looks")])
    assert [each.voter for each in votes.all()] == ["x", "x"]


def test_one_voter_leaves_room_for_the_others_and_may_still_change_answers(tmp_path, monkeypatch):
    monkeypatch.setattr("mgdemo.compare.votes.OF_ONE", 4)
    votes = Votes(tmp_path / "votes.sqlite3")
    for row in range(2):
        votes.add([vote("x", "left", row=row), vote("x", "tie", "looks", row=row)])
    with pytest.raises(VoteError, match="given 4 answers"):
        votes.add([vote("x", "left", row=2), vote("x", "tie", "looks", row=2)])
    votes.add([vote("x", "right", row=1), vote("x", "tie", "looks", row=1)])
    votes.add([vote("y", "left", row=2)])
    assert [(each.voter, each.answer) for each in votes.all() if each.question == "obeys"] == [
        ("x", "left"), ("x", "right"), ("y", "left"),
    ]  # fmt: skip


def test_votes_as_csv():
    rows = list(csv.reader(io.StringIO(as_csv([vote("x", "both bad"), vote("y", "left")]))))
    assert rows[0][:4] == ["time", "voter", "question", "answer"] and len(rows) == 3
    assert dict(zip(*rows[:2], strict=True)) == {
        "time": "2001-09-09T01:46:40+00:00",
        "voter": "x",
        "question": "obeys",
        "answer": "both bad",
        "left": "a",
        "right": "b",
        "left run sha256": sha256(b"a0").hexdigest(),
        "right run sha256": sha256(b"b0").hexdigest(),
    }


def test_a_column_that_nobody_compared_stands_between_the_others_and_is_the_least_certain():
    found = strengths([Duel("a", "b", 1.0)] * 20, "abc")
    a, b, c = (each.log_odds for each in found)
    assert a.value > c.value > b.value
    assert c.high - c.low > max(a.high - a.low, b.high - b.low)
