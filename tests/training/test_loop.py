import numpy as np
import pytest

from mgdemo import checkpoints
from mgdemo.actions import MODES
from mgdemo.video.record import read_frames
from training import loop

SHIPPED = [path for e in checkpoints.catalogue() if (path := checkpoints.opening_loop(e.name))]


def test_the_way_back_is_the_way_there_and_ends_where_it_began():
    frames = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1)
    film = loop.there_and_back(frames).ravel().astype(int)
    assert (film == film[::-1]).all() and film[0] == film[-1] == 0 and film.max() == 39
    assert set(np.diff(film)) == {-1, 0, 1}


def test_there_is_a_route_for_every_mode():
    assert set(loop.ROUTES) == set(MODES)


@pytest.mark.parametrize("path", SHIPPED, ids=[path.parent.name for path in SHIPPED])
def test_a_loop_that_ships_is_small_moves_and_closes(path):
    film = np.stack([frame.astype(int) for frame in read_frames(path)])
    assert path.stat().st_size <= 400_000 and 125 <= len(film) <= 220
    closes, moves = np.abs(film[-1] - film[0]).mean(), np.abs(film[len(film) // 2] - film[0]).mean()
    assert closes < 4 and moves > 5 * closes
