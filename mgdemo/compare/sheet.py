"""The contact sheet of a comparison: a strip of frames for each run, from left to right in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mgdemo.blocks import FPS
from mgdemo.compare.store import StoredRun
from mgdemo.compare.table import Cell
from mgdemo.video.mp4 import read_frames

FRAMES, HEIGHT = 8, 90  # of each strip
TEXT, GAP = 15, 3  # pixels
PAPER, INK = (24, 26, 25), (235, 238, 236)
LONGEST = 160  # characters of a title


def contact_sheet(rows: Sequence[Sequence[Cell]]) -> Image.Image | None:
    """An image with all runs, each below its row's title and its own name; None if there are no runs."""
    parts: list[np.ndarray] = []
    for row in rows:
        finished = [(cell, cell.stored) for cell in row if cell.stored]
        if finished:
            parts.append(_words(finished[0][0].outcome.run.case.title, bold=True))
        for cell, stored in finished:
            variant = cell.outcome.run.variant
            parts += [_words(variant.title or variant.checkpoint), _strip(stored)]
    if not parts:
        return None
    width = max(part.shape[1] for part in parts if part.shape[0] == HEIGHT)
    return Image.fromarray(np.concatenate([_fit(part, width) for part in parts]))


def _fit(part: np.ndarray, width: int) -> np.ndarray:
    sheet = np.full((len(part) + GAP, width, 3), PAPER, np.uint8)
    part = part[:, :width]
    sheet[: len(part), : part.shape[1]] = part
    return sheet


def _words(text: str, bold: bool = False) -> np.ndarray:
    picture = Image.new("RGB", (2000, TEXT + 7), PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((6, 2), text[:LONGEST], INK, ImageFont.load_default(TEXT), stroke_width=0.4 if bold else 0)
    return np.asarray(picture)


def _strip(stored: StoredRun) -> np.ndarray:
    """Frames at equal distances, the first and the last among them, each with its time: [HEIGHT, W, 3]."""
    wanted = set(np.linspace(0, stored.facts["frames"] - 1, FRAMES).round().astype(int).tolist())
    shown = []
    for number, frame in enumerate(read_frames(stored.video)):
        if number in wanted:
            width = round(frame.shape[1] * HEIGHT / frame.shape[0])
            picture = Image.fromarray(frame).resize((width, HEIGHT))
            text, font = f"{number / FPS:.1f} s", ImageFont.load_default(11)
            ImageDraw.Draw(picture).text(
                (4, HEIGHT - 16), text, (255, 255, 255), font, stroke_width=1, stroke_fill=(0, 0, 0)
            )
            shown += [np.asarray(picture), np.full((HEIGHT, GAP, 3), PAPER, np.uint8)]
    return np.concatenate(shown[:-1], axis=1)
