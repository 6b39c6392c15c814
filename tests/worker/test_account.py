"""What a scenario's session has cost, as the worker reports it."""

import sys
import threading
from types import ModuleType

import pytest
import test_worker
from test_worker import TRACK, Bench, models

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


class Peaks(Meter):
    """Memory whose peak the test says."""

    peak = 0

    def reset_peak(self):
        self.peak = 0

    @property
    def peak_bytes(self):
        return self.peak


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


def measured(**options):
    bench = Bench(**options)
    bench.worker._meter = Fake("cuda")
    return bench


def finish(bench, count=1):
    """The energy of that many scenarios."""
    bench.until(lambda: len(bench.of(m.Finished)) == count)
    return [event.report.joules for event in bench.of(m.Finished)]


def test_two_at_once_disturb_each_other():
    bench = measured()
    for name in "ab":
        bench.open(name, attach=False, track=TRACK, background=True)
    assert finish(bench, 2) == [None, None]


@pytest.mark.parametrize("loads", [False, True])
def test_a_checkpoint_that_is_loaded_disturbs(loads):
    bench = measured()
    models["universal-1"] = bench.model
    bench.open("a", attach=False, track=TRACK, background=True)
    if loads:
        bench.worker.hear(m.Warm(checkpoint="universal-1"))
    assert finish(bench) == [None if loads else 5.0]


def test_a_checkpoint_on_its_way_disturbs_whoever_begins(monkeypatch):
    may = threading.Event()
    monkeypatch.setitem(models, "universal-1", None)
    bench = measured()
    bench.open("a", attach=False, track=TRACK, background=True)
    monkeypatch.setattr(test_worker, "load", lambda *_, **__: may.wait(20) and bench.model)
    bench.worker.hear(m.Warm(checkpoint="universal-1"))
    bench.worker.hear(m.Close(session="a"))
    bench.open("b", attach=False, track=TRACK, background=True)
    assert finish(bench) == [None]
    may.set()


def test_another_session_that_rewinds_disturbs():
    bench = measured(rewind_megabytes=0, stand_seconds=0)
    bench.open("a")
    bench.until(lambda: len(bench.of(m.Thumbnail)) == 3)
    bench.worker.hear(m.ToSession(session="a", message=m.Pause(on=True)))
    bench.open("b", attach=False, track=TRACK, background=True)
    bench.worker.hear(m.ToSession(session="a", message=m.Rewind(node=1)))
    bench.until(lambda: bench.of(m.RewindDone))
    assert finish(bench) == [None]


def test_the_peak_of_a_session_is_not_forgotten_when_another_one_begins():
    meter, account, other = Peaks("cpu"), Account(), Account()
    account.begin(meter)
    meter.peak = 900
    other.begin(meter, [account])
    meter.peak = 500
    assert (account.report(meter).peak_bytes, other.report(meter).peak_bytes) == (900, 500)


def test_a_worker_keeps_the_peaks_of_those_that_have_begun():
    bench = Bench()
    bench.worker._meter = meter = Peaks("cpu")
    bench.open("a", attach=False, track=TRACK, background=True)
    meter.peak = 900
    bench.open("b", attach=False, track=TRACK, background=True)
    finish(bench, 2)
    peaks = {event.session: event.report.peak_bytes for event in bench.of(m.Finished)}
    assert peaks == {"a": 900, "b": None}


@pytest.mark.parametrize("parts", [{}, {"cuda": ModuleType("torch.cuda")}])
def test_memory_is_measured_while_pytorch_is_being_imported(monkeypatch, parts):
    """A heartbeat may come at any moment; it must not be the last one."""
    half = ModuleType("torch")
    vars(half).update(parts)
    monkeypatch.setitem(sys.modules, "torch", half)
    assert Meter("auto").used_bytes > 1_000_000 and Meter("cuda:1").peak_bytes > 1_000_000
