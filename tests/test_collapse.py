"""What counts as a collapsed picture: proven on known-bad pictures, and on all that ship."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.collapse import INTACT, BrokenModel, Soundness, decay
from mgdemo.paths import ROOT
from mgdemo.tree import START, BlockTree
from mgdemo.video.mp4 import read_frames

SIZES = [(144, 256), (352, 640)]
WORLDS = ROOT / "worlds"
GOOD = np.asarray(Image.open(sorted(WORLDS.glob("universal/start/*.png"))[0]).convert("RGB"))
BLACK = np.zeros_like(GOOD)


def pattern(size, name):
    height, width = size
    y, x = np.mgrid[:height, :width]
    kind, _, number = name.partition(" ")
    period = int(number or 1)
    level = {
        "black": 0 * x,
        "flat": 0 * x + 137,
        "faint": 130 + (x + y) % 3,
        "noise": np.random.default_rng(0).integers(0, 256, size),
        "checks": 40 + 170 * ((x // period + y // period) % 2),
        "stripes": 40 + 170 * (y // period % 2),
        "bars": 40 + 170 * (x // period % 2),
    }[kind]
    return np.repeat(level[..., None], 3, axis=2).astype(np.uint8)


BAD = ["black", "flat", "faint", "noise"]
BAD += [f"{kind} {period}" for kind in ("checks", "stripes", "bars") for period in (1, 2, 4, 8, 12, 16, 24)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", BAD)
def test_what_shows_no_place_has_collapsed(name, size):
    assert decay(pattern(size, name)) >= 1


def test_no_picture_that_ships_has_collapsed_nor_any_frame_of_the_opening_films():
    starts, films = sorted(WORLDS.glob("*/start/*.png")), sorted(WORLDS.glob("*/loop.mp4"))
    assert len(starts) >= 27 and len(films) == 3
    for path in starts:
        picture = Image.open(path).convert("RGB")
        for height, width in (picture.size[::-1], *SIZES):
            assert decay(np.asarray(picture.resize((width, height)))) < INTACT, path
    for path in films:
        worst = max(map(decay, read_frames(path)))
        assert worst < INTACT, path


COLLAPSED = sorted((Path(__file__).parent / "collapsed").glob("*.jpg"))


@pytest.mark.parametrize("path", COLLAPSED, ids=lambda path: path.stem)
def test_what_became_of_real_worlds_has_collapsed(path):
    """The embedded universal world after 29 seconds in which nothing was held, or the camera looked up."""
    assert decay(np.asarray(Image.open(path))) >= 1


def test_a_place_that_turns_into_the_grid_of_its_tokens_is_noticed_on_the_way():
    checks = pattern(GOOD.shape[:2], "checks 8").astype(float)  # a token is 16 pixels wide
    decays = [decay((GOOD * (1 - share) + checks * share).astype(np.uint8)) for share in (0, 0.05, 0.2, 0.5)]
    assert decays[0] < INTACT and decays == sorted(decays)
    assert decays[2] > 1


@pytest.mark.parametrize("level", [0.3, 0.6, 1.5])
def test_darker_and_brighter_places_are_places(level):
    assert decay((GOOD * level).clip(0, 255).astype(np.uint8)) < 1


def grown(soundness, *frames):
    """A tree with a block for each frame, in a row."""
    tree = BlockTree()
    for frame in frames:
        soundness.add(tree.add(ActionTrack.hold("universal", [], None, 12)), frame)
    return tree


def test_it_is_said_when_it_lasts_and_leads_back_to_where_the_picture_was_intact():
    soundness = Soundness(GOOD)
    tree = grown(soundness, GOOD, GOOD, BLACK, BLACK)
    assert [soundness.rewind_to(tree, node) for node in (START, 2, 3, 4)] == [None, None, None, 2]
    tree.head = 2
    other = tree.add(ActionTrack.hold("universal", ["W"], None, 12))
    soundness.add(other, GOOD)
    assert soundness.rewind_to(tree, other) is None, "the other branch is sound"
    soundness.add(4, GOOD)
    assert soundness.rewind_to(tree, 4) is None, "it was regenerated"


def test_a_world_that_was_never_intact_leads_back_to_the_start():
    soundness = Soundness(GOOD)
    noise = pattern(GOOD.shape[:2], "noise")
    assert soundness.rewind_to(grown(soundness, noise, noise), 2) == START


def test_a_first_block_of_one_color_ends_the_session_with_a_cure():
    with pytest.raises(BrokenModel, match="mgdemo check --deep"):
        grown(Soundness(GOOD), BLACK)
    with pytest.raises(BrokenModel):
        grown(Soundness(GOOD), pattern(GOOD.shape[:2], "flat"))


def test_nothing_is_said_of_a_session_that_begins_in_the_dark_or_with_a_pattern():
    for start in (BLACK, pattern(GOOD.shape[:2], "checks 8")):
        soundness = Soundness(start)
        assert soundness.rewind_to(grown(soundness, BLACK, BLACK, BLACK), 3) is None
