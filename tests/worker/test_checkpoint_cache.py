"""Which checkpoints stay in memory."""

import queue
import threading
from functools import partial

import pytest

from benchmarks import stub_world
from mgdemo.settings import Settings
from mgdemo.worker import watch
from mgdemo.worker.checkpoint_cache import CheckpointCache, Loaded, ModelKey, gpu_index
from mgdemo.worker.watch import Watch


def test_checkpoints_in_use_are_kept_and_the_least_recently_used_go():
    loaded, progress = queue.Queue(), []
    settings = Settings(models=2, loader="benchmarks.stub_world:load_small")
    cache = CheckpointCache()
    cache.attach(settings, "cpu", loaded.put, progress.append, Watch())

    def load(name, in_use=()):
        key = ModelKey(name)
        cache.load(key, {ModelKey(name) for name in in_use})
        if key not in cache.held:
            cache.add(loaded.get(timeout=20))

    load("universal-1")
    assert [event.checkpoint for event in progress] == ["universal-1"] * 3
    load("universal-2")
    load("universal-1")  # used again
    load("universal-3")
    assert [held.checkpoint for held in cache.held] == ["universal-1", "universal-3"]
    load("universal-4", in_use={"universal-1"})
    load("universal-5", in_use={"universal-1"})
    assert [held.checkpoint for held in cache.held] == ["universal-1", "universal-5"]
    assert isinstance(cache.get(ModelKey("universal-5")), stub_world.Model)
    assert cache.get(ModelKey("universal-3")) is None


def test_one_checkpoint_with_two_optimizations_is_two_models():
    loaded, progress = queue.Queue(), []
    settings = Settings(models=2, loader="benchmarks.stub_world:load_small")
    cache = CheckpointCache()
    cache.attach(settings, "cpu", loaded.put, progress.append, Watch())
    for words in ("", "fp8"):
        cache.load(ModelKey("universal", words), ())
        cache.add(loaded.get(timeout=20))
    plain, fast = (cache.get(ModelKey("universal", words)) for words in ("", "fp8"))
    assert plain is not None and fast is not None and plain is not fast
    assert {event.optimization for event in progress} == {"", "fp8"}


def test_a_checkpoint_on_its_way_is_loaded_once_and_a_failure_leaves_no_trace():
    loaded = queue.Queue()
    settings = Settings(loader="benchmarks.stub_world:load_small")
    cache = CheckpointCache()
    cache.attach(settings, "cpu", loaded.put, lambda event: None, Watch())
    for _ in range(3):
        cache.load(ModelKey("missing"), ())
    failed = loaded.get(timeout=20)
    assert isinstance(failed, Loaded) and isinstance(failed.result, FileNotFoundError)
    cache.add(failed)
    assert cache.held == [] and loaded.empty()
    cache.load(ModelKey("universal"), ())
    cache.add(loaded.get(timeout=20))
    assert cache.held == [ModelKey("universal")]


class Slow:
    """A loader that says when it has begun, and goes on when it may."""

    def __init__(self, monkeypatch):
        self.begun, self.may, self.calls = queue.Queue(), threading.Semaphore(0), []
        monkeypatch.setattr(stub_world, "load_small", partial(self._load, stub_world.load_small))

    def _load(self, load, checkpoint, *, progress, **options):
        self.calls.append(checkpoint)
        self.begun.put(progress)
        assert self.may.acquire(timeout=20)
        return load(checkpoint, progress=progress, **options)


def test_a_load_that_waits_for_another_one_is_not_stuck(monkeypatch):
    now, told, loaded, seen = 0.0, queue.Queue(), queue.Queue(), Watch()
    monkeypatch.setattr(watch.time, "monotonic", lambda: now)
    slow = Slow(monkeypatch)
    settings = Settings(loader="benchmarks.stub_world:load_small", load_seconds=1000)
    cache = CheckpointCache()
    cache.attach(settings, "cpu", loaded.put, told.put, seen)
    cache.load(ModelKey("universal-1"), ())
    progress = slow.begun.get(timeout=20)
    told.get(timeout=20)
    cache.load(ModelKey("universal-2"), ())
    assert told.get(timeout=20).checkpoint == "universal-2"
    now = 200.0
    progress(0.5, "Reading")
    assert seen.stuck_seconds == 0
    slow.may.release(2)
    assert [loaded.get(timeout=20).key.checkpoint for _ in range(2)] == ["universal-1", "universal-2"]


def test_what_outlives_its_worker_is_loaded_once(monkeypatch):
    first, second = queue.Queue(), queue.Queue()
    slow, key = Slow(monkeypatch), ModelKey("universal")
    cache, settings = CheckpointCache(), Settings(loader="benchmarks.stub_world:load_small")
    cache.attach(settings, "cpu", first.put, lambda event: None, Watch())
    cache.load(key, ())
    slow.begun.get(timeout=20)
    cache.detach()
    cache.attach(settings, "cpu", second.put, lambda event: None, Watch())
    cache.load(key, ())
    slow.may.release()
    cache.add(second.get(timeout=20))
    assert cache.held == [key] and slow.calls == ["universal"] and first.empty()


@pytest.mark.parametrize(("checkpoint", "held"), [("universal", ["universal"]), ("missing", [])])
def test_what_came_when_the_worker_was_over_is_there_for_the_next_one(checkpoint, held):
    results, key = queue.Queue(), ModelKey(checkpoint)
    cache, settings = CheckpointCache(), Settings(loader="benchmarks.stub_world:load_small")
    cache.attach(settings, "cpu", results.put, lambda event: None, Watch())
    cache.load(key, ())
    results.get(timeout=20)  # which nobody obeys any more
    cache.detach()
    cache.attach(settings, "cpu", results.put, lambda event: None, Watch())
    assert [each.checkpoint for each in cache.held] == held
    cache.load(key, ())
    if not held:
        assert isinstance(results.get(timeout=20).result, FileNotFoundError), "it is tried again"


@pytest.mark.parametrize(("device", "gpu"), [("cpu", None), ("auto", 0), ("cuda", 0), ("cuda:1", 1)])
def test_the_gpu_that_plays_is_the_one_that_may_encode(device, gpu):
    assert gpu_index(device) == gpu
