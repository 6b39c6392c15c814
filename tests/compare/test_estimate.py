"""How long a comparison takes, before it begins: measured first, else judged by what is like it."""

from dataclasses import replace

import pytest
from test_runs import planned, settings

from mgdemo import probe
from mgdemo.compare.device import Device, device_of
from mgdemo.compare.estimate import PUBLISHED_FPS, PUBLISHED_TFLOPS, expected, speeds
from mgdemo.compare.plan import Variant, seconds_of, summary
from mgdemo.compare.store import RunStore
from mgdemo.serving.engines.fleets import fleet_of
from mgdemo.serving.engines.process import environment
from mgdemo.settings import Settings

CPU = Device("cpu float32")
TINY, OTHER = (Variant(name, "universal", (48, 64), name, True) for name in ("tiny", "other"))
BIG = Variant("big", "universal", (352, 640), "big", False)
FP8 = replace(BIG, optimization="fp8")


def test_what_was_measured_counts_first_then_what_is_of_the_same_size_then_the_probe():
    measured = {("tiny", ""): 20.0}
    assert expected([TINY, OTHER], measured, CPU, probed=99.0) == {("tiny", ""): 20.0, ("other", ""): 20.0}
    assert expected([TINY, OTHER], {}, CPU, probed=30.0) == {("tiny", ""): 30.0, ("other", ""): 30.0}
    both = expected([BIG, FP8], {("big", "fp8"): 100.0, ("big", ""): 80.0}, CPU)
    assert both == {("big", ""): 80.0, ("big", "fp8"): 100.0}, "each optimization has its own"
    assert expected([TINY, BIG], {}, CPU) == {}, "nothing is made up"


def test_published_worlds_are_judged_by_the_gpu():
    half = Device("NVIDIA", tflops=PUBLISHED_TFLOPS / 2)
    assert expected([TINY, BIG], {}, half, probed=50.0) == {
        ("tiny", ""): 50.0,
        ("big", ""): pytest.approx(PUBLISHED_FPS / 2),
    }


def test_time_is_shared_by_devices_and_unknown_where_a_speed_is():
    plan = planned("universal", "gta_drive", frames=21, rows=3)
    known = {("universal", ""): 21.0, ("gta_drive", ""): 7.0}
    assert seconds_of(plan.all, known) == pytest.approx(3 * 1 + 3 * 3)
    assert seconds_of(plan.all, known, devices=2) == pytest.approx(6)
    assert seconds_of(plan.all, {("universal", ""): 21.0}) is None
    assert "about 13 s" in summary(plan, known), "with the report, of 126 frames"
    left = plan.runs[2][1].key
    assert "about 4 s" in summary(plan, known, kept={run.key for run in plan.all} - {left})
    assert "all made already" in summary(plan, known, kept={run.key for run in plan.all})


def test_a_world_is_probed_in_a_process_of_its_own(tmp_path):
    """A block of this one takes 300 ms at least, so that 40 frames a second are the most."""
    plan, chosen = planned("universal-300"), replace(settings(tmp_path), device="cpu")
    found = speeds(plan, RunStore(tmp_path / "runs"), CPU, chosen)
    assert 0 < found["universal-300", ""] <= 40


def test_without_an_answer_there_is_no_estimate(tmp_path, caplog):
    chosen = replace(settings(tmp_path), device="cpu")
    assert probe.ask("missing", chosen, environment(chosen)) is None
    assert "could not be found out" in caplog.text


def test_several_devices_are_judged_by_the_first():
    assert device_of(fleet_of(Settings(device="cpu,cpu")).ask).kind.startswith("cpu ")
