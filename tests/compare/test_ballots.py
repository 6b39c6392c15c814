"""Blind votes on a grid: which pairs come, on which sides, and what is kept of them."""

import random
from collections import Counter
from dataclasses import replace

import pytest
from test_runs import planned

from mgdemo.compare.ballots import Ballots, column_name
from mgdemo.compare.jobs import CellState, Job
from mgdemo.compare.store import StoredRun
from mgdemo.compare.votes import VoteError, Votes


def job_with(folder, plan, unfinished=()):
    """A job of which all runs are finished, but those of some numbers."""
    job = Job(plan, lambda job: None)
    for number, run in enumerate(plan.all):
        if number not in unfinished:
            (folder / run.key).mkdir(exist_ok=True)
            (folder / run.key / "video.mp4").write_bytes(b"film")
            job.change(CellState(run.key, "finished", 1.0, stored=StoredRun(folder / run.key, {}, {})))
    return job


@pytest.fixture
def ballots(tmp_path):
    return Ballots(Votes(tmp_path / "votes.sqlite3"), random.Random(1))


def pair(ballot):
    return frozenset((ballot.left.key, ballot.right.key))


ANSWERS = {"obeys": "left", "looks": "tie"}


def test_every_pair_of_finished_films_of_a_row_comes_once(ballots, tmp_path):
    job = job_with(tmp_path, planned("universal", "gta_drive", "templerun", rows=2), unfinished=[5])
    assert ballots.progress(job, "x").pairs == 4
    seen = []
    while (ballot := ballots.draw(job, "x")) is not None:
        assert ballot.left.case is ballot.right.case is ballot.case
        assert [path.parent.name for path in ballot.films] == [ballot.left.key, ballot.right.key]
        seen.append(pair(ballot))
        ballots.cast(ballot.token, ANSWERS)
    assert len(seen) == len(set(seen)) == 4
    assert ballots.progress(job, "x").voted == 4 and ballots.progress(job, "y").voted == 0
    assert ballots.draw(job, "y") is not None


def test_sides_and_pairs_are_drawn_by_lot(ballots, tmp_path):
    job = job_with(tmp_path, planned("universal", "gta_drive", "templerun"))
    drawn = [ballots.draw(job, "x") for _ in range(300)]
    left = Counter(ballot.left.variant.checkpoint for ballot in drawn)
    assert all(70 < count < 130 for count in left.values()) and len(left) == 3
    assert len({ballot.token for ballot in drawn}) == 300
    names = ("universal", "gta", "temple", *(run.key for run in job.grid.all))
    assert not any(name in ballot.token for ballot in drawn for name in names)


def test_a_vote_is_kept_with_runs_and_columns_as_they_were_shown(ballots, tmp_path):
    job = job_with(tmp_path, planned("universal", "gta_drive"))
    ballot = ballots.draw(job, "x")
    assert ballots.get(ballot.token) is ballot
    assert ballots.cast(ballot.token, ANSWERS) is ballot and ballots.get(ballot.token) is None
    obeys, looks = sorted(ballots.votes.all(), key=lambda vote: vote.question, reverse=True)
    assert (obeys.question, obeys.answer, looks.answer, obeys.voter) == ("obeys", "left", "tie", "x")
    assert (obeys.left.run, obeys.right.run) == (ballot.left.key, ballot.right.key)
    assert obeys.left.column == column_name(ballot.left.variant)


def test_half_an_answer_and_a_forgotten_ballot_are_refused(ballots, tmp_path):
    job = job_with(tmp_path, planned("universal", "gta_drive"))
    ballot = ballots.draw(job, "x")
    with pytest.raises(VoteError, match="both"):
        ballots.cast(ballot.token, {"obeys": "left"})
    with pytest.raises(VoteError):
        ballots.cast(ballot.token, {"obeys": "left", "looks": "nothing"})
    assert not ballots.votes.all() and ballots.get(ballot.token), "it still waits"
    ballots.cast(ballot.token, ANSWERS)
    with pytest.raises(VoteError, match="next pair"):
        ballots.cast(ballot.token, ANSWERS)


def test_no_pair_without_two_films_that_are_there(ballots, tmp_path):
    plan = planned("universal", "gta_drive")
    assert ballots.draw(job_with(tmp_path, plan, unfinished=[0]), "x") is None
    same = planned("universal", "universal")
    assert ballots.draw(job_with(tmp_path, same), "x") is None, "both would be the same film"
    job = job_with(tmp_path, plan)
    (tmp_path / plan.all[0].key / "video.mp4").unlink()
    assert ballots.draw(job, "x") is None


def test_columns_are_named_by_what_makes_their_frames():
    (variant,) = planned("universal").columns
    changes = [{}, {"weights": "other"}, {"optimization": "fp8"}, {"seed": 0}, {"seed": 1}]
    assert len({column_name(replace(variant, **change)) for change in changes}) == len(changes)


def test_one_voter_pushes_nobody_elses_ballot_out(ballots, tmp_path):
    job = job_with(tmp_path, planned("universal", "gta_drive", "templerun"))
    mine = ballots.draw(job, "x")
    tabs = [ballots.draw(job, "script") for _ in range(2000)]
    assert ballots.get(mine.token) is mine
    assert ballots.get(tabs[0].token) is None and ballots.get(tabs[-2].token)
