"""A comparison as one film: all runs of a row beside each other on the same frame, row after row."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mgdemo.actions import MODES, ActionTrack
from mgdemo.blocks import FPS
from mgdemo.compare.store import StoredRun
from mgdemo.compare.table import Cell
from mgdemo.video.mp4 import read_frames, write_mp4
from mgdemo.video.overlay import draw

if TYPE_CHECKING:
    from moviepy import VideoClip

LARGE = 512  # pixels; narrower pictures are doubled, so that keys and names can be read
BAR, TEXT, GAP = 34, 19, 4  # pixels
PAPER, INK = (20, 23, 22), (240, 242, 241)
CRF = 21
BESIDE = 3  # cells


def write_grid_film(path: Path, rows: Sequence[Sequence[Cell]], title: str) -> bool:
    """Write an mp4 of all finished runs; False, and nothing written, if there are none.

    Each row has a bar with its scenario and the time; each run its name and its keys. Runs that end earlier
    stay on their last frame. Raises OSError.
    """
    laid = [_Row(row) for row in rows if any(cell.stored for cell in row)]
    if not laid:
        return False
    write_mp4(path, _even(_frames(laid)), FPS, {"title": title}, crf=CRF)
    return True


class _Row:
    """The finished runs of a row, and where they are in its picture."""

    def __init__(self, row: Sequence[Cell]):
        self.finished = [(cell, cell.stored) for cell in row if cell.stored]
        self.frames = max(stored.facts["frames"] for _, stored in self.finished)
        self.heading = row[0].outcome.run.case.title
        self.cell = _size(row)
        height, width = self.cell
        count = len(self.finished)
        self.beside = min(BESIDE, count) if count != 4 else 2
        down = BAR + math.ceil(count / self.beside) * (height + GAP) - GAP
        self.size = self.beside * (width + GAP) - GAP, down  # width and height


def _frames(rows: Sequence[_Row]) -> Iterator[np.ndarray]:
    """Of all rows, each in the middle of the largest one's picture. Only the films of one row are open."""
    from moviepy import CompositeVideoClip  # late: it takes a moment to import

    size = max(row.size[0] for row in rows), max(row.size[1] for row in rows)
    for row in rows:
        with ExitStack() as films:
            clip = _clip(row, films).with_position("center")
            whole = CompositeVideoClip([clip], size=size, bg_color=PAPER)
            for number in range(row.frames):
                yield np.asarray(whole.get_frame(number / FPS), np.uint8)


def _clip(row: _Row, films: ExitStack) -> VideoClip:
    """films: closes those that it reads."""
    from moviepy import CompositeVideoClip, VideoClip

    seconds = row.frames / FPS
    height, width = row.cell

    def bar(t: float) -> np.ndarray:
        return _bar(row.size[0], row.heading, f"{_number(t) / FPS:6.2f} s   frame {_number(t)}")

    placed = [VideoClip(bar, duration=seconds)]
    for i, (cell, stored) in enumerate(row.finished):
        run = _Run(cell, stored, row.cell)
        films.callback(run.close)
        place = ((i % row.beside) * (width + GAP), BAR + (i // row.beside) * (height + GAP))
        placed.append(VideoClip(run.at, duration=seconds).with_position(place))
    return CompositeVideoClip(placed, size=row.size, bg_color=PAPER).with_duration(seconds)


def _number(t: float) -> int:
    """The frame at a time in seconds."""
    return int(t * FPS + 0.5)


def _size(row: Sequence[Cell]) -> tuple[int, int]:
    """Height and width of each cell: of the largest picture, doubled if it is small."""
    sizes = [cell.outcome.run.variant.size for cell in row]
    height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
    factor = 2 if width < LARGE else 1
    return height * factor, width * factor


class _Run:
    """A run's frames, asked for in the order of time."""

    def __init__(self, cell: Cell, stored: StoredRun, size: tuple[int, int]):
        run = cell.outcome.run
        self.size, self.track = size, run.track
        self.name = run.variant.title or run.variant.checkpoint
        self._frames: Generator[np.ndarray, None, None] = read_frames(stored.video, threads=1)
        self._count, self._last = 0, np.zeros((*size, 3), np.uint8)

    def at(self, t: float) -> np.ndarray:
        """The frame at a time, with name and keys: uint8 [H, W, 3]."""
        while self._count <= _number(t):
            if (frame := next(self._frames, None)) is None:
                break
            self._last = self._drawn(frame, self._count)
            self._count += 1
        return self._last

    def close(self) -> None:
        """Nobody asks for the step after the last frame, in which the film would be closed."""
        self._frames.close()

    def _drawn(self, frame: np.ndarray, number: int) -> np.ndarray:
        height, width = self.size
        if frame.shape[:2] != self.size:
            crisp = width % frame.shape[1] == 0 and height % frame.shape[0] == 0
            how = Image.Resampling.NEAREST if crisp else Image.Resampling.BILINEAR
            frame = np.asarray(Image.fromarray(frame).resize((width, height), how))
        frame = draw(frame, MODES[self.track.mode], *_action(self.track, number))
        label = _label(self.name, width)
        frame[: len(label), : label.shape[1]] = label
        return frame


def _action(track: ActionTrack, frame: int) -> tuple[np.ndarray, np.ndarray | None]:
    i = min(frame, len(track) - 1)
    return track.keyboard[i], None if track.mouse is None else track.mouse[i]


@lru_cache(maxsize=64)
def _label(text: str, width: int) -> np.ndarray:
    font = ImageFont.load_default(TEXT - 4)
    long = min(width, round(font.getlength(text)) + 14)
    picture = Image.new("RGB", (long, TEXT + 6), PAPER)
    ImageDraw.Draw(picture).text((7, 2), text, INK, font)
    return np.asarray(picture)


@lru_cache(maxsize=4)
def _bar(width: int, heading: str, time: str) -> np.ndarray:
    picture = Image.new("RGB", (width, BAR), PAPER)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(TEXT)
    taken = round(font.getlength(time)) + 20
    pen.text((width - taken + 10, 5), time, INK, font)
    heading = heading[:200]
    while heading and font.getlength(heading) > width - taken - 10:
        heading = heading[:-1]
    pen.text((8, 5), heading, INK, font)
    return np.asarray(picture)


def _even(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames of even sizes, as video wants them."""
    for frame in frames:
        height, width = frame.shape[:2]
        yield np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)))
