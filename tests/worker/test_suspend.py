"""A scenario that is suspended continues as if nothing had been, and its memory is free meanwhile."""

import gc
import weakref

import numpy as np
from PIL import Image
from test_worker import IMAGE, TRACK, Bench

from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.settings import Settings
from mgdemo.worker.sessions import Playing
from mgdemo.worker.suspend import suspend


def blocks(bench, name="a"):
    return [event.message.block for event in bench.of(m.Block) if event.session == name]


def test_a_suspended_scenario_makes_nothing_until_it_continues():
    bench = Bench()
    bench.open("a", attach=False, track=TRACK, background=True)
    bench.until(lambda: blocks(bench) == [0, 1])
    bench.worker.hear(m.Suspend(session="a"))
    for _ in range(3):
        bench.worker.work(0.01)
    assert blocks(bench) == [0, 1]
    bench.worker.hear(m.Continue(session="a"))
    bench.until(lambda: bench.of(m.Finished))
    assert blocks(bench) == [0, 1, 2, 3] and len(bench.of(m.Ready)) == 1
    assert len(bench.worlds) == 2, "its world is another one"


def test_one_that_waits_for_its_checkpoint_is_suspended_too():
    bench = Bench()
    bench.worker.hear(m.Open(session="a", checkpoint=bench.checkpoint, image=IMAGE, track=TRACK))
    bench.worker.hear(m.Suspend(session="a"))
    bench.until(lambda: bench.of(m.Loading) and bench.worker.work(0.2) is not None)
    assert not bench.of(m.Ready)
    bench.worker.hear(m.Continue(session="a"))
    bench.until(lambda: bench.of(m.Finished))
    assert blocks(bench) == [0, 1, 2, 3]


def test_a_suspended_scenario_can_be_closed():
    bench = Bench()
    bench.open("a", attach=False, track=TRACK, background=True)
    for command in (m.Suspend(session="a"), m.Close(session="a"), m.Continue(session="a")):
        bench.worker.hear(command)
    made = len(blocks(bench))
    bench.worker.work(0.05)
    assert len(blocks(bench)) == made and not bench.of(m.Failed)


def test_its_world_is_gone_and_its_frames_are_the_same(tiny):
    model = tiny("universal")
    track = ActionTrack.hold("universal", ["forward", "look_left"], frames=45)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (*model.size, 3), np.uint8))
    order = m.Open(session="a", checkpoint="tiny", image=image, seed=3, track=track)

    def made(play, count):
        frames = []
        for _ in range(count):
            making = play.begin(0.0)
            frames += list(making.pieces)
            play.pace.delivered(len(making.actions), 0.0, 0.0)
            play.making = None
        return np.concatenate(frames)

    whole = made(Playing(order, model, None, Settings(), 0.0), 4)
    play = Playing(order, model, None, Settings(), 0.0)
    first = made(play, 2)
    world = weakref.ref(play.world)
    suspended = suspend(play)
    gc.collect()
    assert world() is None
    assert suspended.proceed(model) is play
    assert np.array_equal(np.concatenate([first, made(play, 2)]), whole)
