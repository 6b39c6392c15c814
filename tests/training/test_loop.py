import numpy as np
import pytest

from mgdemo import checkpoints
from mgdemo.actions import MODES
from mgdemo.video.mp4 import read_frames
from training import loop

SHIPPED = [entry.name for entry in checkpoints.catalog() if entry.embedded]


def test_a_loop_stands_moves_and_dissolves_into_where_it_began():
    frames = np.arange(0, 240, 5, dtype=np.uint8).reshape(-1, 1, 1, 1)
    film = loop.closed(frames).ravel().astype(int)
    assert len(film) == len(frames) + loop.REST
    assert set(film[: loop.REST + 1]) == {0} == {film[-1]}
    assert (film[loop.REST : -loop.FADE] == frames[: -loop.FADE].ravel()).all()
    assert np.abs(np.diff(film)).max() < 2 * 240 / loop.FADE  # no jump anywhere, the end included


def test_there_is_a_route_for_every_mode():
    assert set(loop.ROUTES) == set(MODES)


@pytest.mark.parametrize("checkpoint", SHIPPED)
def test_each_world_ships_a_loop_that_is_small_moves_and_closes(checkpoint):
    path = checkpoints.opening_loop(checkpoint)
    film = np.stack([frame.astype(int) for frame in read_frames(path)])
    assert path.stat().st_size <= 300_000 and 125 <= len(film) <= 220
    closes, moves = np.abs(film[-1] - film[0]).mean(), np.abs(film[len(film) // 2] - film[0]).mean()
    assert closes < 4 and moves > 5 * closes
