"""What is kept of comparisons on disk: plans that come back, and bounds by age and size."""

import os
import pickle
import zlib

import pytest
from test_runs import planned

from mgdemo.compare.grids import Grids, ended_job
from mgdemo.compare.jobs import grid_id
from mgdemo.compare.keep import DAY, prune
from mgdemo.compare.store import RunStore, write_json

NOW = 1_000_000_000.0


def put(path, days, kilobytes=10):
    """A folder with a file, or a file, that is so old."""
    file = path / "video.mp4" if not path.suffix else path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(kilobytes * 1000))
    for each in {file, path}:
        os.utime(each, (NOW - days * DAY,) * 2)


def left(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_dir() or path.suffix == ".grid")


def test_what_a_killed_program_left_half_made_goes_after_a_day(tmp_path):
    for name, age in ((".unfinished-old", 2 * DAY), (".unfinished-new", 0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "grid.mp4").write_bytes(bytes(1000))
        os.utime(tmp_path / name, (NOW - age,) * 2)
    prune([tmp_path], days=0, megabytes=1, now=NOW)
    assert left(tmp_path) == [".unfinished-new"]


def test_the_old_goes_then_the_oldest_until_the_rest_fits(tmp_path):
    runs, plans = tmp_path / "runs", tmp_path / "grids"
    for days in range(1, 6):
        put(runs / f"run{days}", days, 400)
    put(plans / "a.grid", 2.5, 400)
    put(plans / "b.grid", 9)
    prune([runs, plans], days=4.5, megabytes=5, now=NOW)
    assert left(tmp_path) == ["a.grid", "grids", "run1", "run2", "run3", "run4", "runs"]
    prune([runs, plans], days=4.5, megabytes=1, now=NOW)
    assert left(tmp_path) == ["grids", "run1", "run2", "runs"]
    prune([runs, plans], days=0, megabytes=1, now=NOW + 1000 * DAY)
    assert left(tmp_path) == ["grids", "run1", "run2", "runs"], "0 days: any age"


def test_what_is_in_use_or_being_made_stays(tmp_path):
    for name, days in (("used", 100), ("idle", 100), (".unfinished-x", 0.9)):
        put(tmp_path / name, days)
    prune([tmp_path, tmp_path / "missing"], days=1, megabytes=1, in_use={"used"}, now=NOW)
    assert left(tmp_path) == [".unfinished-x", "used"]


def test_a_plan_comes_back_as_it_was(tmp_path):
    plan, plans = planned("universal", "gta_drive", rows=2), Grids(tmp_path / "grids")
    assert plans.get(grid_id(plan)) is None
    plans.keep(plan)
    again = plans.get(grid_id(plan))
    assert grid_id(again) == grid_id(plan) and [case.title for case in again.rows] == ["Ahead", "Ahead"]
    assert [run.track for run in again.all] == [run.track for run in plan.all]


@pytest.mark.parametrize(
    "id", ["", "../../etc/passwd", "0" * 23, "g" * 24, "0" * 24 + "/", "A" * 24, "0" * 24]
)
def test_a_wrong_id_opens_nothing(tmp_path, id):
    (tmp_path / "grids").mkdir()
    assert Grids(tmp_path / "grids").get(id) is None


def test_a_plan_of_another_version_or_a_damaged_one_is_none(tmp_path):
    plan, plans = planned("universal"), Grids(tmp_path)
    plans.keep(plan)
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.write_bytes(zlib.compress(pickle.dumps(("0.0.0", plan))))
    assert plans.get(grid_id(plan)) is None
    path.write_bytes(data[: len(data) // 2])
    assert plans.get(grid_id(plan)) is None
    path.write_bytes(data)
    path.rename(tmp_path / f"{'1' * 24}.grid")
    assert plans.get("1" * 24) is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="folders have no owners here")
def test_a_plan_from_a_folder_that_others_can_write_is_not_read(tmp_path, monkeypatch):
    plan, plans = planned("universal"), Grids(tmp_path / "grids")
    plans.keep(plan)
    for mode in (0o777, 0o770):
        plans.folder.chmod(mode)
        assert plans.get(grid_id(plan)) is None
    plans.folder.chmod(0o700)
    assert plans.get(grid_id(plan)) is not None
    monkeypatch.setattr(os, "getuid", lambda: plans.folder.stat().st_uid + 1)
    assert plans.get(grid_id(plan)) is None


def test_without_a_disk_nothing_is_kept_and_nothing_breaks(tmp_path):
    (tmp_path / "file").write_text("in the way")
    plans = Grids(tmp_path / "file")
    plans.keep(planned("universal"))
    assert plans.get(grid_id(planned("universal"))) is None


def test_a_grid_as_it_stands_on_disk(tmp_path):
    plan, store = planned("universal", "gta_drive"), RunStore(tmp_path)
    with store.filling(plan.all[1].key) as folder:
        for name in ("run.json", "measures.json"):
            write_json(folder / name, {})
        (folder / "video.mp4").write_bytes(b"film")
    job = ended_job(plan, store)
    assert job.done and [state.phase for state in job.states()] == ["cancelled", "finished"]
    assert job.states()[1].stored.folder == tmp_path / plan.all[1].key
