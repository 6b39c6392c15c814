"""Which start image is meant: by a scenario, by a link, by a path; and how it is named in turn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mgdemo.errors import UserError
from mgdemo.picture import StartImage, open_picture
from mgdemo.scenario import OWN_PICTURE, Scenario

SHIPPED = "embedded:"  # before the names of start images that ship


class ImageMissing(UserError):
    """The start image that a scenario names is not there. `name` is what it calls it."""

    def __init__(self, name: str):
        self.name = name
        short = name.removeprefix(SHIPPED)
        what = "its author's own picture, which is not in the file" if name == OWN_PICTURE else short[:80]
        super().__init__(f"This scenario starts from {what}: choose it.")


def reference_of(path: str | Path, shipped: Sequence[Path]) -> str | None:
    """How scenarios and links name a start image that ships; None for another one."""
    path = Path(path)
    return SHIPPED + path.stem if path in shipped or path.resolve() in shipped else None


def shipped_image(reference: str | None, shipped: Sequence[Path]) -> Path | None:
    """The path of a start image that ships, by its reference."""
    return next((path for path in shipped if SHIPPED + path.stem == reference), None)


def wanted_image(scenario: Scenario, shipped: Sequence[Path]) -> Path | None:
    """The path of the start image that a scenario names; None if it names none. Raises ImageMissing."""
    name = scenario.image
    if name is None:
        return None
    if name.startswith(SHIPPED):
        path = shipped_image(name, shipped)
    else:
        path = scenario.path and scenario.path.with_name(name)
    try:
        if path and path.is_file() and path != scenario.path:
            return path
    except (OSError, ValueError):  # no name of a file, such as one that is too long
        pass
    raise ImageMissing(name)


def start_image(path: str | Path, shipped: Sequence[Path], name: str = "") -> StartImage:
    """The start image in a file. Raises PictureError. name: what to call it there, if not by its path."""
    return StartImage(reference_of(path, shipped), open_picture(path, name))
