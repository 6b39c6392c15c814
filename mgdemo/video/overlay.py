"""The held keys and the camera, drawn onto video frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import chain, repeat
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mgdemo.actions import CAMERA_STEP, MODES, ActionTrack, Mode
from mgdemo.video.mp4 import frame_rate, metadata, read_frames, write_mp4

SMOOTH = 4  # everything is drawn this many times larger, then reduced
STICK_STEPS = 12  # places of the stick from its center to its edge

GLASS = (13, 17, 26, 150)
EDGE = (255, 255, 255, 95)
INK = (255, 255, 255, 225)
SHADE = (0, 0, 0, 110)
LIT = (255, 190, 60, 245)
LIT_EDGE = (255, 232, 176, 255)
LIT_INK = (46, 28, 0, 255)


def draw(frame: np.ndarray, mode: Mode, keyboard: np.ndarray, mouse: np.ndarray | None) -> np.ndarray:
    """A copy of `frame`, uint8 RGB [H, W, 3], with the mode's keys, lit while held, and the camera's stick.

    keyboard [K] and mouse [2] or None are the frame's action. Sizes follow those of the picture.
    """
    height, width = frame.shape[:2]
    key = round(max(4, min(5 + 0.075 * height, width / 11)))
    margin = round(0.55 * key)
    held = mode.held(keyboard, mouse)
    groups = dict.fromkeys(control.group for control in mode.controls)
    first, *others = [_pad(mode, group, held, key) for group in groups]
    if mouse is not None:
        pitch, yaw = np.rint(np.clip(mouse / CAMERA_STEP, -1, 1) * STICK_STEPS).astype(int).tolist()
        others.insert(0, _stick(mode.axes, pitch, yaw, key))

    frame = frame.copy()
    _paste(frame, first, margin, height - margin)
    right = width - margin
    for picture in reversed(others):
        _paste(frame, picture, right - picture.shape[1], height - margin)
        right -= picture.shape[1] + margin
    return frame


def _paste(frame: np.ndarray, picture: np.ndarray, left: int, bottom: int) -> None:
    """Blend `picture`, premultiplied RGBA [h, w, 4] in 1/255, into the frame, cut at its borders."""
    bottom = max(0, bottom)
    top, skip = max(0, bottom - len(picture)), max(0, -left)
    picture = picture[len(picture) - (bottom - top) :, skip:].astype(np.uint16)
    place = frame[top:bottom, left + skip : left + skip + picture.shape[1]]
    picture = picture[:, : place.shape[1]]
    place[:] = picture[..., :3] + place * (255 - picture[..., 3:]) // 255


def _pad(mode: Mode, group: str, held: tuple[str, ...], key: int) -> np.ndarray:
    controls = [control for control in mode.controls if control.group == group]
    caps = tuple((c.row, c.column, c.label, c.name in held) for c in controls)
    return _caps(caps, key)


@lru_cache(maxsize=256)
def _caps(caps: tuple[tuple[int, int, str, bool], ...], key: int) -> np.ndarray:
    """Key caps (row, column, label, lit) as premultiplied RGBA; `key` is their pitch in pixels."""
    unit = key * SMOOTH
    rows, columns = 1 + max(cap[0] for cap in caps), 1 + max(cap[1] for cap in caps)
    picture = Image.new("RGBA", (columns * unit, rows * unit))
    pen = ImageDraw.Draw(picture)
    font, bold = ImageFont.load_default(0.52 * unit), round(0.012 * unit)
    gap, lip, radius, line = 0.05 * unit, 0.07 * unit, 0.2 * unit, max(SMOOTH // 2, round(0.035 * unit))
    for row, column, label, lit in caps:
        x, y, size = column * unit + gap, row * unit + gap, unit - 2 * gap
        pen.rounded_rectangle((x, y + lip, x + size, y + size), radius, SHADE)
        y += lip if lit else 0  # a held cap is pressed down
        cap = (x, y, x + size, y + size - lip)
        pen.rounded_rectangle(cap, radius, LIT if lit else GLASS, LIT_EDGE if lit else EDGE, line)
        baseline = y + (size - lip) / 2 - font.getbbox("H", anchor="ms")[1] / 2
        pen.text((x + size / 2, baseline), label, LIT_INK if lit else INK, font, "ms", stroke_width=bold)
    return _reduce(picture)


@lru_cache(maxsize=256)
def _stick(axes: tuple[str, ...], pitch: int, yaw: int, key: int) -> np.ndarray:
    """The camera's stick, pushed `pitch` up and `yaw` right (in 1/STICK_STEPS), as premultiplied RGBA."""
    unit = key * SMOOTH
    picture = Image.new("RGBA", (2 * unit, 2 * unit))
    pen = ImageDraw.Draw(picture)
    middle, edge, line = unit, 0.93 * unit, max(SMOOTH // 2, round(0.035 * unit))
    pen.circle((middle, middle), edge, GLASS, EDGE, line)
    for right, down in [(1, 0), (-1, 0)] + [(0, 1), (0, -1)] * ("pitch" in axes):
        lit = right * yaw > 0 or -down * pitch > 0
        tip, foot, half = 0.82 * edge, 0.64 * edge, 0.13 * edge
        points = [(tip, 0), (foot, half), (foot, -half)]
        arrow = [(middle + right * a - down * b, middle + down * a + right * b) for a, b in points]
        pen.polygon(arrow, LIT if lit else EDGE)
    push = min(1, STICK_STEPS / max(1, np.hypot(pitch, yaw))) * 0.5 * edge / STICK_STEPS
    knob = (middle + yaw * push, middle - pitch * push)
    moving = pitch or yaw
    pen.circle((middle, middle), 0.07 * unit, EDGE)
    pen.circle(knob, 0.27 * unit, LIT if moving else INK, LIT_EDGE if moving else None, line)
    return _reduce(picture)


def _reduce(picture: Image.Image) -> np.ndarray:
    small = (picture.width // SMOOTH, picture.height // SMOOTH)
    return np.asarray(picture.convert("RGBa").resize(small, Image.Resampling.BOX))


def overlay_frames(frames: Iterable[np.ndarray], track: ActionTrack) -> Iterator[np.ndarray]:
    """The frames with the actions of `track` drawn on them, row by row; after its end nothing is held."""
    mode = MODES[track.mode]
    mice = repeat(None) if track.mouse is None else track.mouse
    actions = chain(zip(track.keyboard, mice, strict=False), repeat(mode.frame(())))
    for frame, action in zip(frames, actions, strict=False):
        yield draw(frame, mode, *action)


def overlay_mp4(source: str | Path, target: str | Path, track: ActionTrack) -> None:
    """Write `source` as `target` with the actions drawn on it and the same tags."""
    write_mp4(target, overlay_frames(read_frames(source), track), round(frame_rate(source)), metadata(source))
