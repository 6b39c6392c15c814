"""What a scenario is once it is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mgdemo.actions import ActionTrack

OWN_PICTURE = "own-picture.png"  # stands in a recorded scenario for a start image that does not ship


@dataclass(frozen=True)
class Mark:
    """A moment with a name, the only one of its scenario: what comes before `frame`, a video frame of the
    track, is done. One at the end names the last frame. returns_to: an earlier mark at which the view is the
    same, as its author says.
    """

    name: str
    frame: int
    returns_to: str | None = None


@dataclass(frozen=True)
class Scenario:
    """A track with its words. `image` is a file name beside `path`, "embedded:<name>", or None.

    marks: in the order of their frames; returns: pairs of frames with the same view, as far as the actions
    tell: where the camera sets out on a mirror, and where it is back, and what marks say;
    text: the YAML that it was read from, comments included
    """

    title: str
    description: str
    mode: str
    image: str | None
    seed: int | None
    track: ActionTrack
    path: Path | None = None
    marks: tuple[Mark, ...] = ()
    text: str = field(default="", repr=False, compare=False)
    returns: tuple[tuple[int, int], ...] = ()
