"""Runs through a real service over stub worlds: kept whole or not at all, made once, one failure alone."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.compare.jobs import Comparisons
from mgdemo.compare.plan import Case, Variant, grid
from mgdemo.compare.store import RunStore
from mgdemo.picture import StartImage
from mgdemo.scenario import Mark, parse_scenario
from mgdemo.serving import SessionService, Settings
from mgdemo.video.mp4 import metadata, read_frames

SMALL = (48, 64)


def settings(folder):
    return Settings(
        loader="benchmarks.stub_world:load_small", threads=1, sessions=1, record_dir=folder / "sessions"
    )


def planned(*checkpoints, frames=21, rows=1):
    start = StartImage("embedded:x", Image.fromarray(np.full((*SMALL, 3), 90, np.uint8)))
    cases = [
        Case(
            "Ahead",
            ActionTrack.hold("universal", ["forward"], frames=frames),
            start,
            seed,
            returns=((3, 17),),
            marks=(Mark("corner", 12),),
        )
        for seed in range(rows)
    ]
    columns = [Variant(name, name.split("-")[0], SMALL, name, True) for name in checkpoints]
    return grid(cases, columns, version="1", device="cpu")


def made(folder, planned):
    """The outcomes of a grid, by a service of its own, and the states that were seen on the way."""
    service = SessionService(settings(folder))
    comparisons = Comparisons(service, RunStore(folder / "runs"), device="cpu")
    try:
        job = comparisons.start(planned)

        async def watch():
            return [state async for states in job.changes() for state in states]

        return job, asyncio.run(watch())
    finally:
        comparisons.close()
        service.close()


def test_runs_are_made_measured_and_kept(tmp_path):
    plan = planned("universal-300", "gta_drive-300", "templerun-300")
    job, heard = made(tmp_path, plan)
    outcomes = job.outcomes()
    assert [o.error for o in outcomes] == ["", "", ""] and not any(o.kept for o in outcomes)
    for run, outcome in zip(plan.all, outcomes, strict=True):
        stored = outcome.stored
        assert stored.key == run.key and stored.facts["frames"] == 21
        facts, timings = stored.facts, stored.facts["timings"]
        assert timings["fps"] > 0 and timings["stages"].keys() == {"dit", "vae", "encode"}
        assert timings["start_seconds"] is not None and timings["first_block_seconds"] > 0
        assert facts["joules_per_frame"] is None and facts["peak_bytes"] != 0
        assert {"mgdemo", "python"} <= facts["versions"].keys() and facts["hardware"]["processor"]
        assert len(facts["actions"]) == len(facts["image_sha256"]) == 64
        assert sum(1 for _ in read_frames(stored.video)) == 21
        scenario = parse_scenario(metadata(stored.video)["scenario"])
        assert scenario.track == run.track and scenario.marks == run.case.marks, "it can be replayed"
        pairs = [(pair["start"], pair["back"]) for pair in stored.measures["returns"]["pairs"]]
        assert pairs == ([(3, 17)] if run.variant.mode == "universal" else [])
        assert {"follows", "holds", "returns", "mirrors", "splits"} <= stored.measures.keys()
    digests = [outcome.stored.facts["frames_sha256"] for outcome in outcomes]
    assert digests == [metadata(o.stored.video)["frames_sha256"] for o in outcomes]
    assert len(set(digests)) > 1 and all(len(digest) == 64 for digest in digests)
    assert {state.key for state in heard if state.phase == "running"} == {run.key for run in plan.all}
    assert all(state.phase == "finished" and state.share == 1 for state in job.states())
    assert not list((tmp_path / "runs").glob(".unfinished*"))


def test_what_is_there_costs_nothing_and_is_the_same(tmp_path):
    plan = planned("universal", rows=2)
    first, _ = made(tmp_path, plan)
    again, heard = made(tmp_path, plan)
    assert all(state.kept for state in again.states()) and not any(s.phase == "running" for s in heard)
    assert [s.stored.facts for s in again.states()] == [s.stored.facts for s in first.states()]


def test_speeds_are_those_of_the_latest_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("mgdemo.compare.store.RECENT", 3)
    store = RunStore(tmp_path)
    for age, (checkpoint, fps) in enumerate([("a", 1.0), ("a", 2.0), ("b", None), ("b", 4.0), ("c", 5.0)]):
        path = tmp_path / f"run {age}" / "run.json"
        path.parent.mkdir()
        path.write_text(json.dumps({"checkpoint": checkpoint, "optimization": "", "timings": {"fps": fps}}))
        os.utime(path, (1e9 - age,) * 2)
    assert store.speeds() == {("a", ""): 1.0}
    monkeypatch.setattr("mgdemo.compare.store.RECENT", 4)
    (tmp_path / "run 0" / "run.json").write_text("{")
    assert store.speeds() == {("a", ""): 2.0, ("b", ""): 4.0}


def test_the_same_run_has_the_same_frames(tmp_path):
    plan = planned("universal")
    (one,), (two,) = (made(tmp_path / name, plan)[0].states() for name in "ab")
    assert one.stored.facts["frames_sha256"] == two.stored.facts["frames_sha256"]
    assert one.stored.measures == two.stored.measures


def test_a_run_that_fails_says_why_and_the_others_are_made(tmp_path):
    outcomes = made(tmp_path, planned("universal-broken", "universal", frames=60))[0].states()
    assert outcomes[0].stored is None and outcomes[0].error
    assert outcomes[1].stored is not None
    assert len(list((tmp_path / "runs").iterdir())) == 1, "nothing half-finished is left"


def test_a_folder_that_lacks_a_part_is_no_run(tmp_path):
    plan = planned("universal")
    (outcome,) = made(tmp_path, plan)[0].states()
    store = RunStore(tmp_path / "runs")
    for name in ("run.json", "measures.json", "video.mp4"):
        path = outcome.stored.folder / name
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2]) if name.endswith("json") else path.unlink()
        assert store.get(outcome.stored.key) is None
        path.write_bytes(data)
    assert store.get(outcome.stored.key) is not None
    with pytest.raises(RuntimeError), store.filling("abc") as folder:
        (folder / "run.json").write_text("{}")
        raise RuntimeError
    assert store.get("abc") is None and not (tmp_path / "runs" / "abc").exists()


KILLED = """
import sys; sys.path[:0] = ["tests/compare"]
import pathlib, test_runs
test_runs.made(pathlib.Path(sys.argv[1]), test_runs.planned("universal", rows=6))
"""


def test_killed_at_any_moment_a_grid_continues_after_the_last_finished_run(tmp_path):
    """Whatever was there at the kill is whole, and is not made again."""
    store, chance = RunStore(tmp_path / "runs"), random.Random(5)
    plan, until = planned("universal", rows=6), time.monotonic() + 300
    unfinished, finished = "runs/*/video.mp4", "runs/[!.]*/run.json"
    for awaited in 3 * (unfinished, finished):
        if all(store.get(run.key) for run in plan.all):
            break  # nothing is left to be made
        process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], start_new_session=True)
        there = set(tmp_path.glob(awaited))
        while set(tmp_path.glob(awaited)) <= there:
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for folder in (tmp_path / "runs").glob("[!.]*"):
            stored = store.get(folder.name)
            assert stored is not None and json.dumps(stored.measures)
            assert sum(1 for _ in read_frames(stored.video)) == 21
    before = {run.key: store.get(run.key) for run in plan.all}
    assert any(before.values())
    outcomes = made(tmp_path, plan)[0].outcomes()
    assert all(o.stored for o in outcomes)
    assert all(o.kept for o in outcomes if before[o.run.key] is not None)


def test_two_programs_share_a_store(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    both = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    store, plan = RunStore(tmp_path / "runs"), planned("universal", rows=6)
    assert all(store.get(run.key) for run in plan.all)
    assert len(list((tmp_path / "runs").iterdir())) == 6, "nothing half-finished is left"


def test_a_checkpoint_that_is_a_path_keeps_its_files(tmp_path):
    weights = tmp_path / "universal-mine" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    plan = planned("universal")
    mine = grid(plan.rows, [replace(plan.columns[0], checkpoint=str(weights))], version="1", device="cpu")
    (state,) = made(tmp_path, mine)[0].states()
    assert state.error == "" and state.stored is not None
    kept = sorted(path.name for path in state.stored.folder.iterdir())
    assert kept == ["measures.json", "run.json", "video.mp4"]
    assert [path.name for path in weights.parent.iterdir()] == ["model.safetensors"]
    assert weights.read_bytes() == b"weights"
