"""Which block is made when."""

import math
import time
from types import SimpleNamespace

import pytest
import stub
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.serving import messages as m
from mgdemo.serving import worker as w
from mgdemo.serving.pace import MARGIN, UNACKNOWLEDGED, Estimate
from mgdemo.settings import Settings

TRACK = ActionTrack.hold("universal", [], None, 45)


def play(worker, name, *, dry=0.0, cost=0.1, served=0.0, track=None):
    """A play that is ready, in a worker that has not been started."""
    item = w._Play(m.Open(name, "universal", None, 0, track))
    item.world = SimpleNamespace(frames_next=12, can_regenerate=True)
    item.model = SimpleNamespace(fps=25)
    item.attached, item.pace.dry, item.pace.served = True, dry, served
    item.pace.first.add(cost)
    item.pace.cost.add(cost)
    worker._plays[name] = item
    return item


@pytest.fixture
def worker():
    return w.Worker(Settings(), "cpu", lambda event: None)


@pytest.mark.parametrize(("device", "gpu"), [("cpu", None), ("auto", 0), ("cuda", 0), ("cuda:1", 1)])
def test_the_gpu_that_plays_is_the_one_that_may_encode(device, gpu):
    assert w.Worker(Settings(), device, lambda event: None)._gpu == gpu


def following(worker, now):
    item, _, start = worker._next(now)
    return item and item.order.session, start


def test_nothing_to_do_means_waiting(worker):
    assert following(worker, 0) == (None, math.inf)
    play(worker, "gone").attached = False
    assert following(worker, 0) == (None, math.inf)


def test_a_block_begins_just_in_time(worker):
    play(worker, "live", dry=10, cost=0.1)
    assert following(worker, 0) == ("live", pytest.approx(10 - MARGIN - 0.1))


def test_a_block_begins_in_time_for_its_first_picture_not_for_its_last(worker):
    item = play(worker, "live", dry=10, cost=0.3)
    item.pace.first = Estimate()
    item.pace.first.add(0.1)
    assert following(worker, 0) == ("live", pytest.approx(10 - MARGIN - 0.1))
    play(worker, "other", dry=10, cost=0.1)  # has to wait until all of it is done
    assert following(worker, 0) == ("live", pytest.approx(10 - MARGIN - 0.1 - 0.3))


def test_a_device_slower_than_real_time_begins_early_but_one_slow_block_changes_little(worker):
    item = play(worker, "live", dry=10, cost=0.8)  # the player slows down, and so has time for it
    assert following(worker, 0) == ("live", pytest.approx(10 - MARGIN - 0.8))
    item.pace.first, item.pace.cost = Estimate(), Estimate()
    for cost in (0.1, 0.1, 0.1, 1.0):
        item.pace.first.add(cost)
        item.pace.cost.add(cost)
    assert following(worker, 0) == ("live", pytest.approx(10 - MARGIN - 0.48))


def test_plays_that_run_dry_together_begin_early_enough_for_both(worker):
    play(worker, "a", dry=10.05, cost=0.2)
    play(worker, "b", dry=10.0, cost=0.1)
    play(worker, "c", dry=12.0, cost=0.1)
    # a must begin at 9.82, so b, which is due first, at 9.72 and not at 9.87
    assert following(worker, 0) == ("b", pytest.approx(10.05 - MARGIN - 0.2 - 0.1))


def test_who_runs_dry_first_comes_first_when_all_are_late(worker):
    play(worker, "a", dry=5, cost=1)
    play(worker, "b", dry=4, cost=1)
    assert following(worker, 20)[0] == "b"


def test_scenarios_fill_the_gaps_and_take_turns(worker):
    play(worker, "live", dry=10, cost=0.1)
    play(worker, "track", track=TRACK, cost=0.3, served=9.2)
    play(worker, "other", track=TRACK, cost=0.3, served=9.1)
    assert following(worker, 9.3) == ("other", 9.3)
    # Now a track's block would end too late.
    assert following(worker, 9.7) == ("live", pytest.approx(10 - MARGIN - 0.1))
    assert following(worker, 9.1 + w.PATIENCE + 0.1)[0] == "other"  # but none waits for ever


def test_a_scenario_waits_a_moment_for_its_visitor(worker):
    item = play(worker, "track", track=TRACK)
    item.attached, item.opening = False, 2.0
    assert following(worker, 1.0) == (None, 2.0)
    play(worker, "live", dry=1.5, cost=0.1)
    assert following(worker, 1.0) == ("live", pytest.approx(1.5 - MARGIN - 0.1))
    del worker._plays["live"]
    assert following(worker, 2.0) == ("track", 2.0)  # nobody came
    item.attached = True
    assert following(worker, 1.0) == ("track", 1.0)
    item.attached, item.pace.blocks = False, 1
    assert following(worker, 1.1) == ("track", 1.1)  # who leaves is not waited for


def regenerating(worker, now):
    """The video frame from which a block is to be made again now, if one is."""
    _, job, _ = worker._next(now)
    return getattr(job, "keywords", {}).get("splice")


def playing(worker, name="live", *, dry=10.0, cost=0.1):
    """A live play whose player has three blocks and runs dry at `dry`."""
    item = play(worker, name, dry=dry, cost=cost)
    item.actions, item.pace.blocks, item.pace.frames = ActionTrack.hold("universal", [], None, 12), 3, 33
    return item


def test_a_block_is_made_again_from_the_next_latent_frame_that_can_be_in_time(worker):
    item = playing(worker)  # block 2 plays from 9.52 on, its latent frames begin there, at 9.68 and at 9.84
    assert regenerating(worker, 9.3) is None
    item.input.set(("KeyW",), (0, 0), 1)
    times = {9.41: 21, 9.43: 25, 9.57: 25, 9.59: 29, 9.73: 29, 9.75: None, 9.9: None}
    assert {now: regenerating(worker, now) for now in times} == times
    assert following(worker, 9.75) == ("live", pytest.approx(10 - MARGIN - 0.1))
    item.paused = True
    item.steps = 1
    assert regenerating(worker, 9.4) is None
    item.paused = False
    item.world.can_regenerate = False
    assert regenerating(worker, 9.4) is None
    assert following(worker, 9.4) == ("live", pytest.approx(10 - MARGIN - 0.1))
    item.world.can_regenerate = True
    item.input.release()
    assert regenerating(worker, 9.4) is None  # nothing has changed after all


def test_a_block_is_made_again_only_while_all_others_are_in_time(worker):
    playing(worker).input.set(("KeyW",), (0, 0), 1)
    play(worker, "other", dry=9.72, cost=0.1)
    assert following(worker, 9.4) == ("live", 9.4)  # there is time until then
    assert following(worker, 9.55) == ("other", pytest.approx(9.72 - MARGIN - 0.1))
    playing(worker, "slow", cost=0.5).input.set(("KeyW",), (0, 0), 1)
    worker._plays = {"slow": worker._plays["slow"]}
    assert regenerating(worker, 9.0) is None


def test_the_first_block_has_a_shorter_first_latent_frame(worker):
    item = playing(worker)
    item.actions, item.pace.blocks, item.pace.frames = ActionTrack.hold("universal", [], None, 9), 1, 9
    item.input.set(("KeyW",), (0, 0), 1)  # it plays from 9.64 on
    assert (regenerating(worker, 9.0), regenerating(worker, 9.6)) == (1, 1 + 4)


@pytest.mark.parametrize("settings", [{"regenerate": False}, {"optimization": "low-vram"}])
def test_making_again_can_be_switched_off(settings):
    worker = w.Worker(Settings(**settings), "cpu", lambda event: None)
    playing(worker).input.set(("KeyW",), (0, 0), 1)
    assert following(worker, 9.4) == ("live", pytest.approx(10 - MARGIN - 0.1))


def test_a_visitor_who_does_not_acknowledge_is_waited_for(worker):
    item = play(worker, "live")
    item.pace.blocks = UNACKNOWLEDGED
    assert item.ready(0)
    item.pace.blocks += 1
    assert not item.ready(0)


def test_checkpoints_in_use_are_kept_and_the_least_recently_used_go():
    worker = w.Worker(Settings(models=2, loader="stub:load"), "cpu", lambda event: None)

    def load(name):
        worker.hear(m.Warm(name))
        worker._obey(0)
        while name not in worker._models:
            worker._obey(10)

    load("universal-a")
    load("universal-b")
    load("universal-a")  # used again
    load("universal-c")
    assert list(worker._models) == ["universal-a", "universal-c"]
    play(worker, "live").order = m.Open("live", "universal-a", None, 0, None)
    load("universal-d")
    load("universal-e")
    assert list(worker._models) == ["universal-a", "universal-e"]
    worker.stop()
    worker.run()


def test_errors_become_sentences():
    class OutOfMemoryError(RuntimeError):
        pass

    assert "MGDEMO_SESSIONS" in w.sentence(OutOfMemoryError("CUDA out of memory. Tried to allocate"))
    assert "MGDEMO_SESSIONS" in w.sentence(MemoryError())
    assert w.sentence(w.PlayError("Choose another.")) == "Choose another."
    assert "KeyError: 'x'" in w.sentence(KeyError("x"))
    assert "no reason given" in w.sentence(ValueError())


def test_frames_leave_while_the_rest_of_their_block_is_made():
    events, left = [], []
    worker = w.Worker(Settings(), "cpu", events.append)
    worker._models["universal"] = stub.Model("universal")
    item = w._Play(m.Open("a", "universal", Image.new("RGB", (60, 40)), 0, TRACK))
    worker._start(item)
    made = item.world.stream

    def stream(actions):
        for piece in made(actions):
            left.append(sum(isinstance(event, m.Frame) for event in events))
            yield piece

    item.world.stream = stream
    worker._make(item)
    assert left == [0, 1], "a piece leaves before the next one is made"
    kinds = [type(event) for event in events]
    assert kinds == [m.Ready, m.Block, *[m.Frame] * 9, m.Thumbnail]
    assert [event.frame for event in events[2:-1]] == list(range(9))
    assert (item.pace.blocks, item.pace.frames) == (1, 9)
    assert item.pace.first.mean <= item.pace.cost.mean
    worker._make(item)
    block = next(event for event in events[len(kinds) :] if isinstance(event, m.Block))
    assert events[1].made_ms == 0 < block.made_ms, "what is not known yet is 0"
    assert block.timings.keys() == {"dit", "vae", "encode"}, "those of the block before"


class Together:
    """Two live plays of a model like that of a GPU, both due, in a worker that writes down what happens."""

    def __init__(self, pipelined=True, takes=0.0):
        self.log, self.blocks = [], []
        self.worker = w.Worker(Settings(), "cuda", self.emit)
        self.model = self.worker._models["universal"] = stub.Model("universal")
        self.model.pipelined, self.takes, self.before = pipelined, takes, lambda what: None
        for name in "ab":
            self.worker.hear(m.Open(name, "universal", Image.new("RGB", (60, 40)), 0, None))
            self.worker.hear(m.Attach(name, False))
        self.worker._obey(0)
        for name, play in self.worker._plays.items():
            play.world.stream = self.stream(name, play.world.stream)

    def emit(self, event):
        if isinstance(event, m.Block):
            self.blocks.append(event)
        if isinstance(event, m.Thumbnail | m.Failed):
            self.log.append(f"{event.session} {type(event).__name__}")

    def stream(self, name, lazy):
        def note(what):
            self.log.append(f"{name} {what}")
            self.before(self.log[-1])

        def taken(actions):
            note("wait")
            time.sleep(self.takes)
            yield from lazy(actions)

        def stream(actions):
            note("begin")
            return taken(actions)

        return stream

    def make(self):
        """Make what is due, as `run` does; what has happened."""
        play, job, _ = self.worker._next(time.monotonic())
        self.worker._guard(play, job)
        return self.log


def test_the_next_block_due_begins_while_frames_of_the_last_one_are_on_their_way():
    assert Together().make() == ["a begin", "b begin", "a wait", "a Thumbnail", "b wait", "b Thumbnail"]
    alone = Together(pipelined=False)
    assert alone.make() == ["a begin", "a wait", "a Thumbnail"], "or these frames would have to wait"
    assert alone.make()[3:] == ["b begin", "b wait", "b Thumbnail"]
    single = Together()
    del single.worker._plays["b"]
    assert single.make() == ["a begin", "a wait", "a Thumbnail"], "its next block is not due"


def test_a_block_tells_the_input_that_it_obeys_and_others_are_heard_meanwhile():
    both = Together()

    def press(what):
        if what == "a begin":
            for name in "ab":
                both.worker.hear(m.SetInput(name, ("KeyW",), (0.0, 0.0), 7))

    both.before = press
    both.make()
    assert [(block.session, block.input) for block in both.blocks] == [("a", 0), ("b", 7)]
    assert not both.blocks[0].keyboard.any()
    assert both.blocks[1].keyboard[:, 0].all()


@pytest.mark.parametrize("command", [m.Close("a"), m.Rewind("a", 0), None])
def test_what_would_disturb_a_block_in_the_making_waits_until_it_is_sent(command):
    both = Together()
    both.before = lambda what: what == "a begin" and both.worker.hear(command)
    both.worker.hear(m.SetInput("b", ("KeyW",), (0.0, 0.0), 7))
    assert both.make() == ["a begin", "a wait", "a Thumbnail"], "and nothing else begins before it"
    assert "a" in both.worker._plays and not both.worker._stopping
    both.worker._obey(0)
    assert "a" not in both.worker._plays or both.worker._plays["a"].paused or both.worker._stopping


def test_one_play_that_fails_in_the_making_leaves_the_other_alone():
    for where, expected in {
        "a wait": ["a begin", "b begin", "a wait", "a Failed", "b wait", "b Thumbnail"],
        "b begin": ["a begin", "b begin", "b Failed", "a wait", "a Thumbnail"],
    }.items():
        both = Together()

        def fail(what, where=where):
            if what == where:
                raise RuntimeError("out of luck")

        both.before = fail
        assert both.make() == expected
        assert not both.worker._making and not any(p.making for p in both.worker._plays.values())


def test_a_block_costs_the_time_after_the_one_before_it():
    both = Together(takes=0.1)
    both.make()
    a, b = (play.pace for play in both.worker._plays.values())
    assert 0.1 < a.cost.mean < 0.2 and 0.1 < b.cost.mean < 0.2
    assert b.first.mean > 0.2, "until its first frame, it waited for the other"
