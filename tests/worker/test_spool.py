"""Latents on the disk: what is written is found again by the same actions, and nothing else is."""

import os
import time

import numpy as np
import pytest
from PIL import Image

from benchmarks import stub_world
from devtools.tiny import tiny_image
from mgdemo import messages as m
from mgdemo.actions import ActionTrack
from mgdemo.random_actions import random_actions
from mgdemo.settings import Settings
from mgdemo.tree import START
from mgdemo.worker import spool as spools
from mgdemo.worker.history import History
from mgdemo.worker.roster import Roster
from mgdemo.worker.sessions import Playing
from mgdemo.worker.spool import Spool
from mgdemo.worker.suspend import Suspended, Waiting

AHEAD, BACK = (ActionTrack.hold("universal", [key], None, 12) for key in ("W", "S"))
PICTURE = np.zeros((0, 0, 3), np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "worlds"
    monkeypatch.setattr(spools, "temporary_folder", lambda name: tmp_path / name)
    return folder


def test_latents_are_found_by_their_node_and_its_actions():
    spool = Spool("a")
    spool.put(1, AHEAD, b"one", 0.5)
    spool.put(2, BACK, b"two", 0.25)
    assert (spool.get(1, AHEAD), spool.get(2, BACK)) == (b"one", b"two")
    assert spool.get(1, BACK) is None, "the block was regenerated since"
    assert spool.get(3, AHEAD) is None
    spool.put(1, BACK, b"other", 0.0)
    assert (spool.get(1, BACK), spool.get(1, AHEAD), spool.decay(1)) == (b"other", None, 0.0)
    assert (spool.decay(2), spool.decay(3)) == (0.25, 0.0)


def test_the_next_worker_takes_it_up_as_far_as_it_was_written(folder):
    before = Spool("a")
    before.put(1, AHEAD, b"one", 0.5)
    before.put(2, AHEAD, b"two", 0.5)
    (path,) = folder.iterdir()
    os.truncate(path, path.stat().st_size - 1)
    after = Spool("a", goes_on=True)
    assert (after.get(1, AHEAD), after.get(2, AHEAD), after.decay(1)) == (b"one", None, 0.5)
    after.put(2, AHEAD, b"new", 0.5)
    before.put(2, AHEAD, b"a worker that was thought dead", 0.5)
    assert after.get(2, AHEAD) == b"new"
    assert Spool("a", goes_on=True).get(2, AHEAD) == b"new"
    assert Spool("b", goes_on=True).get(1, AHEAD) is None
    assert Spool("a").get(1, AHEAD) is None, "another session of that name"


def test_what_is_over_is_deleted_and_what_nobody_took_up_after_a_while(folder):
    over, left = Spool("over"), Spool("left")
    over.put(1, AHEAD, b"one", 0)
    over.remove()
    over.put(1, AHEAD, b"one", 0)
    assert over.get(1, AHEAD) is None
    (path,) = folder.iterdir()
    old = time.time() - spools.UNUSED - 1
    os.utime(path, (old, old))
    Spool("new")
    assert path not in folder.iterdir()
    left.put(1, AHEAD, b"one", 0)
    assert left.get(1, AHEAD) == b"one", "whoever still has it loses only the name"


def test_a_session_has_so_much_room(monkeypatch):
    monkeypatch.setattr(spools, "LIMIT", 100)
    spool = Spool("a")
    for node in range(1, 9):
        spool.put(node, AHEAD, bytes(30), 0)
    assert [node for node in range(9) if spool.get(node, AHEAD)] == [1]


def test_others_keep_room_on_the_disk(monkeypatch):
    spool = Spool("a")
    spool.put(1, AHEAD, b"one", 0)
    monkeypatch.setattr(spools, "RESERVE", 2**62)
    spool.put(2, AHEAD, b"two", 0)
    assert spool.get(1, AHEAD) == b"one" and spool.get(2, AHEAD) is None


def test_where_nothing_can_be_kept_the_session_goes_on(tmp_path, caplog):
    (tmp_path / "worlds").touch()
    spool = Spool("a")
    spool.put(1, AHEAD, b"one", 0)
    assert spool.get(1, AHEAD) is None and "what is rewound takes longer" in caplog.text
    spool.remove()


@pytest.mark.parametrize("blocks", [3, 18])
def test_a_world_that_follows_its_latents_is_the_same(tiny, blocks):
    """In another process, too: frames, caches and the decoder's memory."""
    track = random_actions("universal", 12 * (blocks + 3) - 3, seed=3)
    model = tiny("universal")
    history, made = History(model.start(tiny_image(), seed=1), PICTURE, 0, Spool("a")), []
    for block in range(blocks + 3):
        made.append(history.world.step(track.block(block)))
        history.tree.add(track.block(block))
        history.keep(0.0)

    again = History(model.start(tiny_image(), seed=1), PICTURE, 0, Spool("a", goes_on=True))
    again.tree = history.tree
    steps, step = [], again.world.step
    again.world.step = lambda actions: (steps.append(actions), step(actions))[1]
    way = again.rewind(blocks)
    assert len(way) == blocks
    frames = [again.repeat(node, len(way) - 1 - i) for i, node in enumerate(way)]
    assert not steps, "nothing is denoised again"
    assert np.array_equal(frames[-1], made[blocks - 1]) and np.array_equal(again.picture, frames[-1][-1])
    shown = [each is not None for each in frames]
    assert all(shown) if blocks <= model.reach else shown == [True] + [False] * (blocks - 2) + [True]
    for block in range(blocks, blocks + 3):
        assert np.array_equal(again.world.step(track.block(block)), made[block])


def test_frames_are_exact_after_as_many_blocks_as_the_decoder_looks_back_to(tiny):
    """And not after fewer: what is measured here can tell."""
    model, blocks = tiny("universal"), 20
    track = random_actions("universal", 12 * blocks - 3, seed=3)
    world, made, latents = model.start(tiny_image(), seed=1), [], []
    for block in range(blocks):
        made.append(world.step(track.block(block)))
        latents.append(world.latents)

    def last(shown):
        world = model.start(tiny_image(), seed=1)
        for block in range(blocks):
            frames = world.repeat(track.block(block), latents[block], shown=block >= blocks - shown)
        return frames

    assert np.array_equal(last(world.reach), made[-1])
    assert not np.array_equal(last(2), made[-1])
    with pytest.raises(ValueError, match="another world"):
        world.repeat(ActionTrack.hold("universal", [], None, 12), b"1234", True)


def test_no_snapshot_is_taken_while_the_decoder_has_not_caught_up(tiny):
    model, blocks = tiny("universal"), 18
    track = random_actions("universal", 12 * blocks - 3, seed=3)
    history, room = History(model.start(tiny_image(), seed=1), PICTURE, 0, Spool("a")), 10**9
    for block in range(blocks):
        history.world.step(track.block(block))
        history.tree.add(track.block(block))
        history.keep(0.0)
    again = History(model.start(tiny_image(), seed=1), PICTURE, room, Spool("a", goes_on=True))
    again.tree = history.tree
    way = again.rewind(blocks)
    for i, node in enumerate(way):
        again.repeat(node, len(way) - 1 - i)
        again.snapshot()
    assert again.snapshots == [1, blocks], "the first block is shown, since the decoder's memory begins there"
    assert model.reach < blocks - 1
    assert again.rewind(START) == []


def test_it_is_deleted_with_its_session_unless_another_worker_may_go_on(folder):
    order = m.Open(session="a", checkpoint="universal", image=Image.new("RGB", (60, 40)))
    model, roster = stub_world.load_small("universal-0", device="cpu"), Roster(Settings(), lambda event: None)
    for for_now in (True, False):
        roster["a"] = Playing(order, model, None, Settings(), 0.0)
        roster.drop("a", for_now)
        assert len(list(folder.iterdir())) == for_now
    begun = Suspended(order, Playing(order, model, None, Settings(), 0.0))
    roster["a"] = Waiting(order, begun)
    roster.drop("a")
    assert not list(folder.iterdir())
