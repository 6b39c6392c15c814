"""What is kept of comparisons on disk: plans that come back, whose it is, and what goes."""

import os
import pickle
import time
import zlib
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_runs import planned

from mgdemo.compare.grids import Grids, ended_job
from mgdemo.compare.jobs import grid_id
from mgdemo.compare.keep import NOBODY, OF_ONE, Kept
from mgdemo.compare.plan import grid
from mgdemo.compare.store import RunStore, write_json
from mgdemo.picture import StartImage
from mgdemo.serving.disk import sweep

DAY = 86_400
NOW = time.time()
RUN, GRID = "a" * 24, "b" * 24  # a key and an id


def put(path, days=0.0, kilobytes=10):
    """A folder with a file, or a file, that is so old."""
    file = path / "video.mp4" if not path.suffix else path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(kilobytes * 1000))
    for each in (file, path):
        os.utime(each, (NOW - days * DAY,) * 2)


def swept(folder, kept, megabytes=1, in_use=()):
    """What is left after the server has looked at its disk."""
    sweep(folder, None, {}, (), kept.items(in_use), hours=0, megabytes=megabytes, sessions=9)
    return sorted(path.name for each in (kept.runs, kept.grids, kept.files) for path in each.glob("*"))


def test_what_a_killed_program_left_half_made_goes_after_a_day(tmp_path):
    kept = Kept(tmp_path / "compare", days=0)
    for name, age in ((".unfinished-old", 2), (".unfinished-new", 0)):
        put(kept.files / name, age, 2000)
        os.utime(kept.files / name, (NOW - age * DAY,) * 2)
    assert swept(tmp_path, kept) == [".unfinished-new"]


def test_whoever_has_most_of_all_loses_the_oldest_first(tmp_path):
    kept = Kept(tmp_path / "compare", days=0)
    put(kept.runs / RUN, 9, 300)
    kept.own([RUN], "me")
    for days in range(1, 5):
        put(kept.runs / f"flood{days}", days, 300)
    kept.own([f"flood{days}" for days in range(1, 5)], "script")
    assert swept(tmp_path, kept) == [RUN, "flood1", "flood2"]
    film = tmp_path / "20260101-000001-0123456789abcdef"
    put(film, 0, 500)
    sweep(tmp_path, None, {film: "me"}, (), kept.items(()), hours=0, megabytes=1, sessions=9)
    assert film.exists() and not (kept.runs / RUN).exists(), "recordings of the same visitor count, too"


def test_plans_and_files_are_those_of_their_grid_and_owners_are_known_after_a_restart(tmp_path):
    kept = Kept(tmp_path / "compare", days=0)
    kept.own([GRID, RUN], "me")
    for path in (kept.runs / RUN, kept.grids / f"{GRID}.grid", kept.files / f"{GRID}-01234567"):
        put(path)
    put(kept.runs / "older")
    kept.own([GRID, RUN, "older"], "another visitor, who has the same comparison made")
    owners = {item.path.name: item.owner for item in Kept(tmp_path / "compare", days=0).items(())}
    mine = dict.fromkeys([RUN, f"{GRID}.grid", f"{GRID}-01234567"], "me")
    assert owners == mine | {"older": "another visitor, who has the same comparison made"}


def test_a_run_that_is_made_again_belongs_to_whoever_has_it_made(tmp_path):
    kept = Kept(tmp_path / "compare", days=0)
    kept.own([RUN], "me")
    kept.own([RUN], "another")
    put(kept.runs / RUN)
    put(kept.runs / "unknown")
    put(kept.runs / "unknown too")
    assert sorted(item.owner for item in kept.items(())) == ["another", NOBODY, NOBODY]


def test_names_without_end_make_nobody_forget_whose_the_others_are(tmp_path):
    kept = Kept(tmp_path / "compare", days=0)
    for name, owner in ((RUN, "me"), ("flood", "script")):
        put(kept.runs / name)
        kept.own([name], owner)
    for number in range(3):
        kept.own([f"{number} {each}" for each in range(OF_ONE - 1)], "script")
    assert {item.path.name: item.owner for item in kept.items(())} == {RUN: "me", "flood": NOBODY}


def test_the_old_goes_unless_it_is_in_use(tmp_path):
    kept = Kept(tmp_path / "compare", days=4.5)
    put(kept.grids / f"{GRID}.grid", 9)
    put(kept.files / f"{GRID}-01234567", 9)
    for days in range(3, 7):
        put(kept.runs / f"run{days}", days)
    left = swept(tmp_path, kept, in_use={GRID, "run6"})
    assert left == [f"{GRID}-01234567", f"{GRID}.grid", "run3", "run4", "run6"]


def test_files_that_come_later_count(tmp_path):
    kept = Kept(tmp_path / "compare", days=0)
    put(kept.files / GRID)
    before = sum(item.size for item in kept.items(()))
    (kept.files / GRID / "grid.mp4").write_bytes(bytes(2000))
    assert [sum(item.size for item in kept.items(())) for _ in range(2)] == [before + 2000] * 2


def test_a_damaged_list_of_owners_is_none(tmp_path):
    kept = Kept(tmp_path, days=0)
    put(kept.runs / RUN)
    for text in ("[]", "{", "3", '{"x":'):
        (tmp_path / "owners.json").write_text(text)
        assert [item.owner for item in Kept(tmp_path, days=0).items(())] == [NOBODY]


def test_a_plan_comes_back_as_it_was(tmp_path):
    plan, plans = planned("universal", "gta_drive", rows=2), Grids(tmp_path / "grids")
    assert plans.get(grid_id(plan)) is None
    plans.keep(plan)
    again = plans.get(grid_id(plan))
    assert grid_id(again) == grid_id(plan) and [case.title for case in again.rows] == ["Ahead", "Ahead"]
    assert [run.track for run in again.all] == [run.track for run in plan.all]


def test_a_plan_is_kept_without_the_pictures_that_only_runs_need(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), np.uint8)
    start = StartImage(None, Image.fromarray(noise))
    plan, plans = planned("universal", rows=2), Grids(tmp_path)
    rows = [replace(case, start=start) for case in plan.rows]
    plan = grid(rows, plan.columns, version="1", device="cpu")
    plans.keep(plan)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size < 20_000
    again = plans.get(grid_id(plan))
    assert [run.image for run in again.all] == [run.image for run in plan.all] == [start.sha256] * 2
    with pytest.raises(ArithmeticError):
        again.all[0].start.fitted(48, 64)


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
