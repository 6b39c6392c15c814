"""What the player and the report are given of a grid."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_runs import SMALL, planned

from mgdemo.actions import ActionTrack
from mgdemo.compare.jobs import CellState
from mgdemo.compare.plan import Case, grid
from mgdemo.compare.store import StoredRun
from mgdemo.compare.view import grid_view, progress
from mgdemo.measure.run import RunMeasures
from mgdemo.picture import StartImage
from mgdemo.scenario import Mark


def states(plan, **by_column):
    return [CellState(run.key, **by_column.get(run.variant.mode, {})) for run in plan.all]


def stored(run, folder):
    frames = np.random.default_rng(0).integers(0, 256, (run.frames, *SMALL, 3), np.uint8)
    measures = RunMeasures(run.track, frames[0])
    measures.add(frames)
    return StoredRun(folder / run.key, {"seed": run.seed}, measures.result())


def film(stored):
    return f"film/{stored.key}"


def test_a_grid_that_has_not_begun_has_all_that_is_planned():
    plan = planned("universal", "templerun", frames=57, rows=2)
    view = json.loads(json.dumps(grid_view(plan, states(plan), film)))
    assert view["columns"] == ["universal", "templerun"] and len(view["rows"]) == 2
    for row, seed in zip(view["rows"], (0, 1), strict=True):
        assert row["frames"] == 57 and row["seed"] == seed
        assert [cell["phase"] for cell in row["cells"]] == ["waiting"] * 2
        assert all((cell["height"], cell["width"]) == SMALL for cell in row["cells"])
        assert row["cells"][0]["lanes"] == [
            {"control": "forward", "label": "W", "hint": "Forward", "lost": False, "spans": [[0, 57]]}
        ]
        assert row["cells"][1]["lanes"] == [], "a runner runs by itself"
    assert set(view["modes"]) == {"universal", "templerun"}


def test_lanes_say_what_is_lost_and_marks_where_things_are():
    start = StartImage(None, Image.new("RGB", (64, 48)))
    track = ActionTrack.concat(
        [
            ActionTrack.hold("universal", ["look_up"], frames=21),
            ActionTrack.hold("universal", ["look_left"], frames=12),
        ]
    )
    plan = planned("universal", "gta_drive")
    plan = grid(
        [Case("Up", track, start, marks=(Mark("corner", 21),))], plan.columns, version="1", device="cpu"
    )
    [row] = grid_view(plan, states(plan), film)["rows"]
    assert row["marks"] == [{"name": "corner", "frame": 21}]
    own, other = (cell["lanes"] for cell in row["cells"])
    assert [(lane["control"], lane["lost"], lane["spans"]) for lane in own] == [
        ("look_up", False, [(0, 21)]),
        ("look_left", False, [(21, 33)]),
    ]
    assert [(lane["control"], lane["lost"], lane["spans"]) for lane in other] == [
        ("steer_left", False, [(21, 33)]),
        ("look_up", True, [(0, 21)]),
    ]


def test_a_finished_run_has_its_film_its_curves_and_its_scores(tmp_path):
    plan = planned("universal", "gta_drive", frames=57)
    done, failed = plan.all
    now = [
        CellState(done.key, "finished", 1.0, stored=stored(done, tmp_path)),
        CellState(failed.key, "failed", error="No engine."),
    ]
    now[0].stored.measures["follows"]["worst"] = "look_left"
    one, two = json.loads(json.dumps(grid_view(plan, now, film)))["rows"][0]["cells"]
    assert one["video"] == f"film/{done.key}"
    assert {curve["name"] for curve in one["curves"]} >= {"sharpness", "color drift", "flicker"}
    assert all(len(curve["values"]) == 57 for curve in one["curves"])
    assert one["wrong"], "noise does not walk"
    follows = one["scores"][0]
    assert follows["name"] == "follows" and follows["fails"] and follows["score"] < 0.6
    assert follows["words"].endswith("least: look left"), "for people"
    assert two["phase"] == "failed" and two["error"] == "No engine." and two["video"] == ""


def test_scores_are_told_against_the_leftmost_column(tmp_path):
    plan = planned("universal", "universal-other", frames=57)
    both = [stored(run, tmp_path) for run in plan.all]
    both[1].measures["holds"]["score"] = both[0].measures["holds"]["score"] + 0.25
    now = [CellState(run.key, "finished", 1.0, stored=it) for run, it in zip(plan.all, both, strict=True)]
    one, two = grid_view(plan, now, film)["rows"][0]["cells"]
    assert all(score["delta"] is None for score in one["scores"])
    deltas = {score["name"]: score["delta"] for score in two["scores"]}
    assert deltas["holds"] == pytest.approx(0.25) and deltas["follows"] == 0
    assert deltas["splits"] is None


def test_progress_is_small_and_carries_the_latest_picture():
    plan = planned("universal", frames=57)
    state = CellState(plan.all[0].key, "running", 0.5, 12.34, 3.2, "Playing.", picture=b"\xff\xd8")
    [now] = progress([state])
    assert now == {
        "key": plan.all[0].key, "phase": "running", "share": 0.5, "fps": 12.3, "seconds_left": 3,
        "words": "Playing.", "error": "", "picture": "data:image/jpeg;base64,/9g=",
    }  # fmt: skip
    cell = grid_view(plan, [replace(state, picture=None)], film)["rows"][0]["cells"][0]
    assert now.items() - {("picture", now["picture"])} <= {k: v for k, v in cell.items() if k in now}.items()
