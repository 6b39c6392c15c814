"""Grids in the background: joined, watched, cancelled, and forgotten in the end."""

import asyncio
import time
from queue import Queue

import pytest
from test_runs import planned, settings

from mgdemo.compare import jobs
from mgdemo.compare.jobs import CellState, Comparisons
from mgdemo.compare.plan import PlanError
from mgdemo.compare.room import Room
from mgdemo.compare.store import RunStore
from mgdemo.serving import ServingError, SessionService

PATIENCE = 60


@pytest.fixture
def comparisons(tmp_path):
    service = SessionService(settings(tmp_path))
    made = Comparisons(service, RunStore(tmp_path / "runs"), device="cpu")
    yield made
    made.close()
    service.close()


async def first(job, condition):
    """The first states that meet a condition."""
    async with asyncio.timeout(PATIENCE):
        async for states in job.changes():
            if condition(states):
                return states
    raise AssertionError(f"the job ended with {job.states()}")


def running(states):
    return [state for state in states if state.phase == "running" and state.share > 0]


def test_several_readers_see_the_same_end(comparisons):
    job = comparisons.start(planned("universal", "gta_drive"))

    async def watch():
        return [states async for states in job.changes()]

    async def both():
        return await asyncio.gather(watch(), watch())

    for seen in asyncio.run(both()):
        assert seen[-1] == job.states() and all(state.phase == "finished" for state in seen[-1])
        shares = [states[0].share for states in seen]
        assert shares == sorted(shares), "it only goes forward"
    assert job.done and comparisons.get(job.id) is job


def test_the_same_grid_joins_the_running_job_and_another_has_its_own(comparisons):
    plan = planned("universal-200", frames=57)
    job = comparisons.start(plan)
    assert comparisons.start(planned("universal-200", frames=57)) is job
    other = comparisons.start(planned("universal", frames=9))
    assert other is not job and other.id != job.id
    assert job.wait(PATIENCE) and other.wait(PATIENCE)
    again = comparisons.start(plan)
    assert again is not job and again.id == job.id and again.wait(PATIENCE)
    assert [state.kept for state in again.states()] == [True]


def test_what_two_grids_have_in_common_is_made_once(comparisons):
    one, two = planned("universal-200", frames=57), planned("universal-200", "universal", frames=57)
    first_job, second = comparisons.start(one), comparisons.start(two)
    assert first_job.wait(PATIENCE) and second.wait(PATIENCE)
    assert comparisons.service.metrics()["sessions_total"] == 2
    assert [state.phase for state in second.states()] == ["finished", "finished"]


def test_what_another_grid_makes_takes_no_place(comparisons, monkeypatch):
    monkeypatch.setattr(jobs, "Room", lambda most: Room(lambda: 2))
    begun: Queue[str] = Queue()

    async def make(run, heard, played, visitor=""):
        begun.put(run.variant.checkpoint)
        await asyncio.Event().wait()

    monkeypatch.setattr(comparisons._runner, "make", make)
    first_job = comparisons.start(planned("universal"))
    assert begun.get(timeout=PATIENCE) == "universal"
    second = comparisons.start(planned("universal", "gta_drive"))
    assert begun.get(timeout=PATIENCE) == "gta_drive", "the second place is free"
    first_job.cancel()
    assert begun.get(timeout=PATIENCE) == "universal", "now the other grid makes it"
    second.cancel()
    assert first_job.wait(PATIENCE) and second.wait(PATIENCE)


def test_cancel_keeps_what_is_finished_and_asks_for_nothing_more(comparisons):
    job = comparisons.start(planned("universal-300", frames=45, rows=4))

    async def cancel():
        await first(job, lambda states: states[0].phase == "finished" and running(states[1:]))
        job.cancel()

    asyncio.run(cancel())
    assert job.wait(PATIENCE)
    states = job.states()
    finished = [state for state in states if state.phase == "finished"]
    assert 1 <= len(finished) < 4
    assert states == finished + [
        CellState(s.key, "cancelled", words="Canceled.") for s in states[len(finished) :]
    ]
    assert {folder.name for folder in comparisons.store.folder.iterdir()} == {state.key for state in finished}
    health = comparisons.service.health()
    assert (health["playing"], health["queued"]) == (0, 0)
    blocks = comparisons.service.metrics()["blocks_total"]
    time.sleep(0.6)
    assert comparisons.service.metrics()["blocks_total"] == blocks
    again = comparisons.start(job.grid)
    assert again.wait(PATIENCE)
    assert [state.kept for state in again.states()] == [state in finished for state in states]


def test_a_run_that_waits_can_be_cancelled_too(comparisons):
    ahead, behind = planned("universal-200", frames=57), planned("universal", frames=9)
    first_job, job = comparisons.start(ahead), comparisons.start(behind)
    job.cancel()
    assert job.wait(PATIENCE) and [state.phase for state in job.states()] == ["cancelled"]
    assert first_job.wait(PATIENCE) and first_job.states()[0].phase == "finished"


def test_a_run_shows_a_picture_while_it_is_made(comparisons):
    job = comparisons.start(planned("universal-200", frames=297))
    states = asyncio.run(first(job, lambda states: states[0].picture))
    assert states[0].picture.startswith(b"\xff\xd8"), "a JPEG"
    job.cancel()


def test_too_large_and_too_many_are_refused_with_a_sentence(comparisons, monkeypatch):
    comparisons.most_frames = 50
    with pytest.raises(PlanError, match="84 frames are too many"):
        comparisons.start(planned("universal", frames=21, rows=4))
    monkeypatch.setattr(jobs, "RUNNING", 1)
    job = comparisons.start(planned("universal-200", frames=45))
    with pytest.raises(ServingError, match="Too many comparisons"):
        comparisons.start(planned("universal", frames=9))
    job.cancel()
    assert job.wait(PATIENCE)
    assert comparisons.start(planned("universal", frames=9)).wait(PATIENCE)


def test_one_visitor_does_not_take_all_places(comparisons, monkeypatch):
    monkeypatch.setattr(jobs, "OF_ONE", 1)
    first = comparisons.start(planned("universal-200", frames=45), account="10.0.0.1")
    assert comparisons.start(planned("universal-200", frames=45), account="10.0.0.1") is first
    assert "10.0.0.1" not in str(vars(first)), "who it was is not kept"
    with pytest.raises(ServingError, match="1 comparisons of yours are running here"):
        comparisons.start(planned("universal", frames=9), account="10.0.0.1")
    for other in ("10.0.0.2", ""):  # the command line has none
        assert comparisons.start(planned("universal", frames=9), account=other)
    first.cancel()
    assert first.wait(PATIENCE)
    assert comparisons.start(planned("universal", frames=21), account="10.0.0.1")


def test_without_a_disk_a_run_fails_and_names_no_folder_of_the_server(comparisons, tmp_path):
    (tmp_path / "runs").write_text("in the way")
    job = comparisons.start(planned("universal"))
    assert job.wait(PATIENCE)
    (state,) = job.states()
    assert state.phase == "failed" and state.error.startswith("The server's disk cannot be written (")
    assert str(tmp_path) not in state.error


def test_old_jobs_are_forgotten_and_their_runs_are_kept(comparisons, monkeypatch):
    monkeypatch.setattr(jobs, "REMEMBERED", 1)
    made = []
    for frames in (9, 21, 33):
        made.append(comparisons.start(planned("universal", frames=frames)))
        assert made[-1].wait(PATIENCE)
    comparisons.start(planned("universal", frames=45)).wait(PATIENCE)
    assert comparisons.get(made[0].id) is None and comparisons.get(made[2].id) is made[2]
    assert all(comparisons.store.get(job.states()[0].key) for job in made)


def test_closing_ends_what_is_under_way(comparisons):
    job = comparisons.start(planned("universal-400", frames=117))
    asyncio.run(first(job, running))
    comparisons.close()
    assert job.done and job.states()[0].phase == "cancelled"
    with pytest.raises(ServingError, match="shutting down"):
        comparisons.start(planned("universal"))


def test_closing_waits_for_all_grids_together(comparisons, monkeypatch):
    waited = []

    def wait(job, seconds):
        waited.append(seconds)
        time.sleep(seconds)  # as if it did not end

    for frames in (201, 213, 225, 237):
        comparisons.start(planned("universal-slow", frames=frames))
    monkeypatch.setattr(jobs, "ENDING_SECONDS", 1.0)
    monkeypatch.setattr(jobs.Job, "wait", wait)
    comparisons.close()
    assert len(waited) == 4 and sum(waited) < 2
