"""Whether a worker gets on, seen from outside while it works."""

from mgdemo.worker import watch


def test_what_makes_no_progress_for_longest_counts(monkeypatch):
    now = 100.0
    monkeypatch.setattr(watch.time, "monotonic", lambda: now)
    seen = watch.Watch()
    assert seen.stuck_seconds == 0
    seen.progress("block")
    now = 103.0
    seen.progress("checkpoint")
    now = 104.0
    assert seen.stuck_seconds == 4
    seen.progress("block")
    assert seen.stuck_seconds == 1, "the checkpoint"
    seen.done("checkpoint")
    seen.done("block")
    seen.done("block")
    now = 200.0
    assert seen.stuck_seconds == 0, "without work, nothing is stuck"


def test_work_that_lasts_too_long_is_stuck_whatever_progress_it_reports(monkeypatch):
    now = 100.0
    monkeypatch.setattr(watch.time, "monotonic", lambda: now)
    seen = watch.Watch()
    seen.progress("checkpoint", 60)
    now = 160.0
    seen.progress("checkpoint", 60)
    assert seen.stuck_seconds == 0
    now = 161.0
    seen.progress("checkpoint", 60)
    assert seen.stuck_seconds == 61
