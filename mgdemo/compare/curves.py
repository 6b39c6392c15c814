"""Curves and moments of a run, from its measures: what a timeline shows below the videos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from mgdemo.blocks import BLOCK_FRAMES, FPS
from mgdemo.measure.holds import DRIFT, FLICKER, SHARP

Span = tuple[int, int]  # frames: the first, and the first that is not in it any more


class Curve(TypedDict):
    """A measure frame by frame.

    words: what it shows; low, high: the range to draw, values may lie outside. least, most: beyond these a
    frame fails, None where there is no such limit. values: one per frame, None where nothing was measured.
    """

    name: str
    words: str
    low: float
    high: float
    least: float | None
    most: float | None
    values: list[float | None]


class Moment(TypedDict):
    """A frame that is worth looking at, and why."""

    frame: int
    words: str


def curves(measures: dict, splits: dict | None, frames: int) -> list[Curve]:
    """Of one run. measures: see `mgdemo.measure.run`; splits: see `Splits.result`, against the baseline.

    The order is that in which a reader would look: what it does, how it looks, how it differs.
    """
    held = measures["holds"]["frames"]
    follows = _followed(measures, frames)
    sharpness, drift, flicker = (_column(held, name) for name in ("sharpness", "drift", "flicker"))
    found = [
        _curve("follows", "Share of the expected motion that is seen", 1, follows),
        _curve("sharpness", "Sharpness, relative to the start image", 2, sharpness, *SHARP),
        _curve("color drift", "Color distance from the start image", 1, drift, None, DRIFT),
        _curve("flicker", "Flicker, in gray levels", 2 * FLICKER, flicker, None, FLICKER),
    ]
    if splits and splits["frames"]:
        found.append(_curve("likeness", "Likeness to the baseline", 1, _column(splits["frames"], "ssim")))
    return [curve for curve in found if any(value is not None for value in curve["values"])]


def _curve(
    name: str,
    words: str,
    high: float,
    values: list[float | None],
    least: float | None = None,
    most: float | None = None,
) -> Curve:
    return Curve(name=name, words=words, low=0, high=high, least=least, most=most, values=values)


def _column(frames: Sequence[dict], name: str) -> list[float | None]:
    return [round(frame[name], 3) for frame in frames]


def _followed(measures: dict, frames: int) -> list[float | None]:
    """Of each window's frames: the least share of its expected motions that is seen; where stillness is
    expected, 1 if it stands and 0 if not. None outside of windows."""
    values: list[float | None] = [None] * frames
    for window in measures["follows"]["windows"]:
        shares = [window["seen"][axis] / size for axis, size in window["expected"].items() if size]
        share = min(shares) if shares else float(window["right"])
        for frame in range(window["from"], min(window["to"], frames)):
            values[frame] = round(min(1.0, max(0.0, share)), 3)
    return values


def wrong(measures: dict) -> list[Span]:
    """Where the picture does not move as the controls say; adjacent windows are one."""
    found: list[Span] = []
    for window in measures["follows"]["windows"]:
        if window["right"]:
            continue
        start, end = window["from"], window["to"]
        if found and found[-1][1] >= start:
            start = found.pop()[0]
        found.append((start, end))
    return found


def moments(measures: dict, splits: dict | None) -> list[Moment]:
    """The frames of a run at which to look first, in order."""
    found: list[Moment] = []
    if stretches := wrong(measures):
        start, end = max(stretches, key=lambda span: span[1] - span[0])
        if end - start >= BLOCK_FRAMES:
            words = f"does not follow its controls for {(end - start) / FPS:.1f} s"
            found.append({"frame": start, "words": words})
    if (at := measures["holds"]["collapsed"]) is not None:
        found.append({"frame": at, "words": "collapses"})
    if splits and splits["first"] is not None:
        found.append({"frame": splits["first"], "words": "diverges from the baseline"})
    for pair in measures["returns"]["pairs"]:
        found.append(Moment(frame=pair["back"], words=f"is back where it was: {pair['like']:.0%} alike"))
    return sorted(found, key=lambda moment: moment["frame"])
