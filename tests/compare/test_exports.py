"""Files of a grid on demand: made once by a child, again when more is finished, and bounded."""

import csv
import json
import threading

import av
import pytest
from PIL import Image
from test_ballots import job_with
from test_runs import planned, settings

from mgdemo.compare.exports import FILES, WAITING, ExportError, Exports, stage_of
from mgdemo.compare.jobs import CellState, Comparisons, Job
from mgdemo.compare.store import RunStore
from mgdemo.serving import SessionService

PATIENCE = 120


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A finished grid of two columns."""
    folder = tmp_path_factory.mktemp("made")
    service = SessionService(settings(folder))
    comparisons = Comparisons(service, RunStore(folder / "runs"), device="cpu")
    job = comparisons.start(planned("universal", "gta_drive"))
    assert job.wait(PATIENCE)
    yield job
    comparisons.close()
    service.close()


@pytest.fixture
def exports(tmp_path):
    exports = Exports(tmp_path / "files", "cpu")
    yield exports
    exports.close()


def test_files_are_made_on_demand_and_only_once(made, exports):
    path = exports.file(made, "report.html").result(PATIENCE)
    assert "<html" in path.read_text("utf-8")
    before = path.stat().st_mtime_ns
    assert exports.file(made, "report.html").result(PATIENCE) == path and path.stat().st_mtime_ns == before
    rows = list(csv.reader(exports.file(made, "report.csv").result(PATIENCE).read_text("utf-8").splitlines()))
    assert len(rows) == 3
    report = json.loads(exports.file(made, "report.json").result(PATIENCE).read_text("utf-8"))
    assert [run["key"] for run in report["rows"][0]["runs"]] == [run.key for run in made.grid.all]
    with av.open(str(exports.file(made, "grid.mp4").result(PATIENCE))) as film:
        assert sum(1 for _ in film.decode(video=0)) == 21
    assert Image.open(exports.file(made, "contact-sheet.png").result(PATIENCE)).height > 100
    assert not list(exports.folder.glob(".*")), "nothing half-finished is left"


def test_scores_are_those_of_the_runs(made, exports):
    (row,) = exports.table(made).result(PATIENCE)
    assert [cell.outcome.run.key for cell in row] == [run.key for run in made.grid.all]
    measures = [state.stored.measures for state in made.states()]
    assert [cell.scores["follows"] for cell in row] == [each["follows"]["score"] for each in measures]
    assert exports.table(made).result(0) == [row], "they are remembered"


def test_what_is_finished_later_makes_another_report(made, exports):
    job = Job(made.grid, lambda job: None)
    first, second = made.states()
    job.change(first)
    early = exports.file(job, "report.html").result(PATIENCE)
    job.change(second)
    late = exports.file(job, "report.html").result(PATIENCE)
    assert early != late and stage_of(job) == late.parent.name
    assert late.read_text("utf-8") != early.read_text("utf-8")


def test_what_cannot_be_made_is_told(made, exports, tmp_path):
    with pytest.raises(ExportError, match="there are report"):
        exports.file(made, "../report.html")
    with pytest.raises(ExportError, match="Nothing is finished"):
        exports.file(Job(made.grid, lambda job: None), "report.html")
    broken = job_with(tmp_path, planned("universal"))  # its film is none
    with pytest.raises(ExportError, match="log"):
        exports.file(broken, "report.html").result(PATIENCE)
    assert set(FILES) >= {"report.html", "grid.mp4"}


def test_visitors_take_turns(made, exports):
    hold, state = threading.Event(), made.states()[0]
    exports._pool.submit(hold.wait, PATIENCE)
    made_for = []
    for number, visitor in enumerate(["script", "script", "script", "me", "script", "another"]):
        job = Job(planned("universal", frames=9 + 12 * number), lambda job: None)
        job.change(CellState(job.grid.all[0].key, "finished", 1.0, stored=state.stored))
        exports.table(job, visitor).add_done_callback(lambda _, visitor=visitor: made_for.append(visitor))
    hold.set()
    exports._pool.submit(lambda: None).result(PATIENCE)
    assert made_for == ["script", "me", "another", "script", "script", "script"]


def test_only_so_many_wait(made, exports):
    hold, jobs = threading.Event(), []
    exports._pool.submit(hold.wait, PATIENCE)
    state = made.states()[0]
    for number in range(WAITING + 1):
        job = Job(planned("universal", frames=9 + 12 * number), lambda job: None)
        job.change(CellState(job.grid.all[0].key, "finished", 1.0, stored=state.stored))
        jobs.append(job)
    for job in jobs[:-1]:
        exports.table(job)
    with pytest.raises(ExportError, match="Too many"):
        exports.table(jobs[-1])
    assert exports.table(jobs[0]) is exports.table(jobs[0]), "what is asked for twice is made once"
    exports.close()
    hold.set()
