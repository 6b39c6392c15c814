"""Which checkpoints stay in memory."""

import queue

import pytest

from benchmarks import stub_world
from mgdemo.settings import Settings
from mgdemo.worker.checkpoint_cache import CheckpointCache, Loaded, Weights, gpu_index
from mgdemo.worker.watch import Watch


def test_checkpoints_in_use_are_kept_and_the_least_recently_used_go():
    loaded, progress = queue.Queue(), []
    settings = Settings(models=2, loader="benchmarks.stub_world:load_small")
    cache = CheckpointCache(settings, "cpu", loaded.put, progress.append, Watch())

    def load(name, in_use=()):
        weights = Weights(name)
        cache.load(weights, {Weights(name) for name in in_use})
        if weights not in cache.held:
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
    assert isinstance(cache.get(Weights("universal-5")), stub_world.Model)
    assert cache.get(Weights("universal-3")) is None


def test_one_checkpoint_with_two_optimizations_is_two_models():
    loaded, progress = queue.Queue(), []
    settings = Settings(models=2, loader="benchmarks.stub_world:load_small")
    cache = CheckpointCache(settings, "cpu", loaded.put, progress.append, Watch())
    for words in ("", "fp8"):
        cache.load(Weights("universal", words), ())
        cache.add(loaded.get(timeout=20))
    plain, fast = (cache.get(Weights("universal", words)) for words in ("", "fp8"))
    assert plain is not None and fast is not None and plain is not fast
    assert {event.optimization for event in progress} == {"", "fp8"}


def test_a_checkpoint_on_its_way_is_loaded_once_and_a_failure_leaves_no_trace():
    loaded = queue.Queue()
    settings = Settings(loader="benchmarks.stub_world:load_small")
    cache = CheckpointCache(settings, "cpu", loaded.put, lambda event: None, Watch())
    for _ in range(3):
        cache.load(Weights("missing"), ())
    failed = loaded.get(timeout=20)
    assert isinstance(failed, Loaded) and isinstance(failed.result, FileNotFoundError)
    cache.add(failed)
    assert cache.held == [] and loaded.empty()
    cache.load(Weights("universal"), ())
    cache.add(loaded.get(timeout=20))
    assert cache.held == [Weights("universal")]


@pytest.mark.parametrize(("device", "gpu"), [("cpu", None), ("auto", 0), ("cuda", 0), ("cuda:1", 1)])
def test_the_gpu_that_plays_is_the_one_that_may_encode(device, gpu):
    assert gpu_index(device) == gpu
