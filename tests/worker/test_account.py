"""What a scenario's session has cost, as the worker reports it."""

import sys
from types import ModuleType

import pytest
from test_worker import TRACK, Bench

from mgdemo import messages as m
from mgdemo.worker.account import Account
from mgdemo.worker.meter import Meter


class Fake(Meter):
    """A GPU whose counter of energy goes up by 5 J each time that it is asked."""

    counter = 0.0

    @property
    def joules(self):
        self.counter += 5
        return self.counter


def test_a_scenario_ends_with_a_report():
    bench = Bench("universal-20")
    bench.open("a", attach=False, track=TRACK, background=True)
    bench.until(lambda: bench.of(m.Finished))
    report = bench.of(m.Finished)[0].report
    assert report.stages.keys() == {"dit", "vae", "encode"} and report.stages["dit"] >= 20
    assert 0 < report.fps <= 12 / 0.02 and report.first_block_seconds >= 0.02
    assert report.load_seconds is not None and report.start_seconds is not None
    assert report.joules is None, "a CPU does not say"
    assert {"mgdemo", "python"} <= report.versions.keys() and "processor" in report.hardware
    if sys.platform == "linux":
        assert report.peak_bytes > 10**6
    assert m.decode(m.encode(bench.of(m.Finished)[0]), m.Event) == bench.of(m.Finished)[0]


def test_the_first_block_is_not_counted_among_the_others():
    account = Account()
    account.add({"dit": 900.0}, 9, 2.0)
    account.add({"dit": 100.0}, 12, 0.5)
    account.add({"dit": 300.0}, 12, 1.5)
    report = account.report(Meter("cpu"))
    assert (report.fps, report.stages, report.first_block_seconds) == (12.0, {"dit": 200.0}, 2.0)
    assert Account().report(Meter("cpu")).fps is None


@pytest.mark.parametrize(("disturbed", "joules"), [(False, 5.0), (True, None)])
def test_energy_is_only_told_of_a_device_that_did_nothing_else(disturbed, joules):
    account, meter = Account(), Fake("cuda")
    account.begin(meter)
    if disturbed:
        account.disturbed()
    assert account.report(meter).joules == joules


def test_two_at_once_disturb_each_other():
    bench = Bench()
    for name in "ab":
        bench.open(name, attach=False, track=TRACK, background=True)
    bench.worker._meter = Fake("cuda")
    bench.until(lambda: len(bench.of(m.Finished)) == 2)
    assert [event.report.joules for event in bench.of(m.Finished)] == [None, None]


@pytest.mark.parametrize("parts", [{}, {"cuda": ModuleType("torch.cuda")}])
def test_memory_is_measured_while_pytorch_is_being_imported(monkeypatch, parts):
    """A heartbeat may come at any moment; it must not be the last one."""
    half = ModuleType("torch")
    vars(half).update(parts)
    monkeypatch.setitem(sys.modules, "torch", half)
    assert Meter("auto").used_bytes > 1_000_000 and Meter("cuda:1").peak_bytes > 1_000_000
