"""Going back: over a world whose state is the whole of what was done in it."""

import itertools

import numpy as np
import pytest
from tiny import tiny_image

from mgdemo.actions import ActionTrack
from mgdemo.random_actions import random_actions
from mgdemo.serving.history import PER_BLOCK, START, History

SIZE = 100
PICTURE = np.zeros((0, 0, 3), np.uint8)
KEYS = "WASD"


class World:
    def __init__(self, size=SIZE):
        self.done, self.size = (), size

    def step(self, actions):
        self.done += (actions.keyboard.tobytes(),)

    @property
    def snapshot_bytes(self):
        return self.size if self.done else 0

    def snapshot(self):
        return self.done

    def restore(self, snapshot):
        self.done = snapshot


def go(world, history, node):
    """Goes to a node; how many blocks had to be made again."""
    mark, way = history.way(node)
    world.restore(mark.snapshot)
    for each in way:
        world.step(history.nodes[each].actions)
    history.head = node
    return len(way)


@pytest.mark.parametrize("room", [0, 1, 3, 10, 1000])
def test_every_node_of_a_tree_can_be_reached_again_and_memory_is_bounded(room):
    world = World()
    history, states = History(world, PICTURE, room * SIZE), {START: ()}
    keys, choose = itertools.cycle(KEYS), np.random.default_rng(0)
    for turn in range(12):
        for _ in range(int(choose.integers(1, 12))):
            history.mark(world, PICTURE)
            actions = ActionTrack.hold("universal", [next(keys)], None, 12)
            world.step(actions)
            states[history.add(actions)] = world.done
        node = int(choose.integers(0, len(states))) if turn % 3 else START
        history.mark(world, PICTURE)
        again = go(world, history, node)
        assert world.done == states[node]
        assert again <= (history.nodes[node].block + 1 if room < 1000 else 0)
        assert sum(mark.nbytes for mark in history._marks.values()) <= room * SIZE
    for node, state in states.items():
        go(world, history, node)
        assert world.done == state


def test_frames_and_blocks_count_along_the_line():
    world = World()
    history = History(world, PICTURE, 0)
    first = history.add(ActionTrack.hold("universal", [], None, 9))
    history.add(ActionTrack.hold("universal", [], None, 12))
    history.head = first
    other = history.nodes[history.add(ActionTrack.hold("universal", ["W"], None, 12))]
    assert (other.parent, other.block, other.frames) == (first, 1, 21)


@pytest.mark.parametrize(("size", "every"), [(PER_BLOCK, 1), (PER_BLOCK + 1, 2), (5 * PER_BLOCK, 5)])
def test_large_snapshots_are_taken_rarely(size, every):
    world = World(size)
    history = History(world, PICTURE, 100 * size)
    for _ in range(20):
        history.mark(world, PICTURE)
        actions = ActionTrack.hold("universal", [], None, 12)
        world.step(actions)
        history.add(actions)
    assert list(history._marks) == list(range(every, 20, every))


def test_what_was_played_last_is_reached_soonest():
    world = World()
    history = History(world, PICTURE, 8 * SIZE)
    for _ in range(200):
        history.mark(world, PICTURE)
        actions = ActionTrack.hold("universal", [], None, 12)
        world.step(actions)
        history.add(actions)
    costs = [len(history.way(200 - back)[1]) for back in (1, 2, 3, 100, 180)]
    assert costs[0] == 0 and max(costs[:3]) <= 2 and max(costs) <= 100


@pytest.mark.parametrize("room", [0, 10**9])
def test_a_real_world_that_went_back_and_does_the_same_gives_the_same_frames(tiny, room):
    track = random_actions("universal", 12 * 7 - 3, seed=3)
    world = tiny("universal").start(tiny_image(), seed=1)
    history, made = History(world, PICTURE, room), []

    def play(blocks, way=track):
        for block in blocks:
            history.mark(world, PICTURE)
            made.append(world.step(way.block(block)))
            history.add(way.block(block))
        return made[-len(blocks) :]

    first = play(range(7))
    assert go(world, history, 3) == (0 if room else 3)
    play(range(3, 6), ActionTrack.hold("universal", ["back"], None, 81))
    go(world, history, 3)
    assert all(map(np.array_equal, play(range(3, 7)), first[3:]))
    go(world, history, START)
    assert all(map(np.array_equal, play(range(7)), first))
