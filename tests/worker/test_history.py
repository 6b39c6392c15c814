"""Rewinding: over a world whose state is the whole of what was done in it."""

import itertools
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from devtools.tiny import tiny_image
from mgdemo.actions import ActionTrack
from mgdemo.random_actions import random_actions
from mgdemo.tree import START
from mgdemo.worker.history import PER_BLOCK, History

SIZE = 100
PICTURE = np.zeros((0, 0, 3), np.uint8)
KEYS = "WASD"


class World:
    def __init__(self, size=SIZE):
        self.done, self.size = (), size

    def step(self, actions):
        self.done += (actions.keyboard.tobytes(),)
        return np.zeros((len(actions), 0, 0, 3), np.uint8)

    @property
    def snapshot_bytes(self):
        return self.size if self.done else 0

    def snapshot(self):
        return SimpleNamespace(block=len(self.done), done=self.done)

    def restore(self, snapshot):
        self.done = snapshot.done


def make(history, actions):
    """Makes the next block; its node."""
    history.snapshot()
    history.picture = history.world.step(actions)[-1]
    return history.tree.add(actions)


def go(history, node):
    """Rewinds to a node; how many blocks had to be made again."""
    way = history.rewind(node)
    for each in way:
        history.repeat(each)
    assert history.tree.head == node
    return len(way)


@pytest.mark.parametrize("room", [0, 1, 3, 10, 1000])
def test_every_node_of_a_tree_can_be_reached_again_and_memory_is_bounded(room):
    world = World()
    history, states = History(world, PICTURE, room * SIZE), {START: ()}
    keys, choose = itertools.cycle(KEYS), np.random.default_rng(0)
    for turn in range(12):
        for _ in range(int(choose.integers(1, 12))):
            node = make(history, ActionTrack.hold("universal", [next(keys)], None, 12))
            states[node] = world.done
        node = int(choose.integers(0, len(states))) if turn % 3 else START
        history.snapshot()
        again = go(history, node)
        assert world.done == states[node]
        assert again <= (history.tree[node].block + 1 if room < 1000 else 0)
        assert history.nbytes <= room * SIZE
    for node, state in states.items():
        go(history, node)
        assert world.done == state


@pytest.mark.parametrize(("size", "every"), [(PER_BLOCK, 1), (PER_BLOCK + 1, 2), (5 * PER_BLOCK, 5)])
def test_large_snapshots_are_taken_rarely(size, every):
    history = History(World(size), PICTURE, 100 * size)
    for _ in range(20):
        make(history, ActionTrack.hold("universal", [], None, 12))
    assert history.snapshots == list(range(every, 20, every))


def test_a_snapshot_keeps_one_picture_of_its_block():
    history, actions = History(World(), PICTURE, 8 * SIZE), ActionTrack.hold("universal", [], None, 12)
    make(history, actions)
    frames = history.world.step(actions)
    history.picture, block = frames[-1], weakref.ref(frames)
    history.tree.add(actions)
    del frames
    make(history, actions)
    assert 2 in history.snapshots and block() is None


def test_what_was_played_last_is_reached_soonest():
    history = History(World(), PICTURE, 8 * SIZE)
    for _ in range(200):
        make(history, ActionTrack.hold("universal", [], None, 12))
    costs = []
    for back in (1, 2, 3, 100, 180):
        costs.append(go(history, 200 - back))
        go(history, 200)
    assert costs[0] == 0 and max(costs[:3]) <= 2 and max(costs) <= 100


@pytest.mark.parametrize("room", [0, 10**9])
def test_a_real_world_that_was_rewound_and_does_the_same_gives_the_same_frames(tiny, room):
    track = random_actions("universal", 12 * 7 - 3, seed=3)
    history, made = History(tiny("universal").start(tiny_image(), seed=1), PICTURE, room), []

    def play(blocks, way=track):
        for block in blocks:
            history.snapshot()
            made.append(history.world.step(way.block(block)))
            history.tree.add(way.block(block))
        return made[-len(blocks) :]

    first = play(range(7))
    assert go(history, 3) == (0 if room else 3)
    play(range(3, 6), ActionTrack.hold("universal", ["back"], None, 81))
    go(history, 3)
    assert all(map(np.array_equal, play(range(3, 7)), first[3:]))
    go(history, START)
    assert all(map(np.array_equal, play(range(7)), first))
