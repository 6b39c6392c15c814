"""The film of a whole grid: every run on the same frame, row after row."""

import numpy as np
from PIL import Image

from mgdemo.actions import ActionTrack
from mgdemo.compare.grid_film import BAR, GAP, write_grid_film
from mgdemo.compare.plan import Case, Variant, grid
from mgdemo.compare.run import Outcome
from mgdemo.compare.store import StoredRun
from mgdemo.compare.table import Cell
from mgdemo.picture import StartImage
from mgdemo.video.mp4 import metadata, read_frames
from tests.support import numbered_film

SIZE = (numbered_film.HEIGHT, numbered_film.WIDTH)


def numbers_in(picture, columns):
    """The frame numbers that a composed picture shows, from left to right."""
    found = []
    for column in range(columns):
        left, width = column * (2 * SIZE[1] + GAP), 2 * SIZE[1]
        # Between the name above and the keys below.
        row = picture[BAR + 44, left : left + width, 1]
        levels = [row[int((bar + 0.5) * width / 12)] for bar in range(numbered_film.BITS)]
        found.append(sum(2**bit for bit, level in enumerate(levels) if level > 128))
    return found


def films_open(monkeypatch):
    """How many films are read at once, counted while they are."""
    counts = {"now": 0, "most": 0}

    def counted(*args, **kwargs):
        counts["now"] += 1
        counts["most"] = max(counts.values())
        try:
            yield from read_frames(*args, **kwargs)
        finally:
            counts["now"] -= 1

    monkeypatch.setattr("mgdemo.compare.grid_film.read_frames", counted)
    return counts


def test_all_runs_are_on_one_frame(tmp_path, monkeypatch):
    start = StartImage(None, Image.new("RGB", SIZE[::-1]))
    columns = [
        Variant(f"universal-{i}", "universal", SIZE, str(i), True, title=f"World {i}") for i in range(3)
    ]
    cases = [
        Case(f"Row {i}", ActionTrack.hold("universal", ["forward"], frames=45), start, i) for i in range(2)
    ]
    plan = grid(cases, columns, version="1", device="cpu")
    rows = []
    for runs in plan.runs:
        row = []
        for i, run in enumerate(runs):
            (tmp_path / run.key).mkdir()
            frames = 45 - 9 * i
            numbered_film.write(tmp_path / run.key / "video.mp4", frames, keys_at=(7 * i,))
            row.append(Cell(Outcome(run, StoredRun(tmp_path / run.key, {"frames": frames}, {})), {}))
        rows.append(row)
    most = films_open(monkeypatch)
    assert write_grid_film(tmp_path / "grid.mp4", rows, "All")
    assert most == {"now": 0, "most": 3}, "of one row"
    frames = list(read_frames(tmp_path / "grid.mp4"))
    assert len(frames) == 90 and metadata(tmp_path / "grid.mp4")["title"] == "All"
    for i, picture in enumerate(frames):
        assert numbers_in(picture, 3) == [min(i % 45, 44), min(i % 45, 35), min(i % 45, 26)], f"frame {i}"
    assert np.abs(frames[0][:BAR].astype(int) - frames[30][:BAR]).max() > 100, "the time goes on"


def test_without_runs_there_is_no_film(tmp_path):
    start = StartImage(None, Image.new("RGB", SIZE[::-1]))
    case = Case("Row", ActionTrack.hold("universal", ["forward"], frames=9), start)
    plan = grid([case], [Variant("universal", "universal", SIZE, "", True)], version="1", device="cpu")
    cells = [[Cell(Outcome(run, None, "No engine."), {}) for run in row] for row in plan.runs]
    assert not write_grid_film(tmp_path / "grid.mp4", cells, "None")
    assert not (tmp_path / "grid.mp4").exists()
