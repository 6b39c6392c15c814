"""What the page offers to choose from: checkpoints, their start images, scenarios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mgdemo.checkpoints import Entry
from mgdemo.picture import PictureError, open_picture
from mgdemo.scenario import Scenario

MISSING = "missing:"  # before the name of a start image, in place of a path


def missing(image: str | None) -> str:
    """What a scenario calls the start image that cannot be had; "" for a path."""
    return image.removeprefix(MISSING) if image and image.startswith(MISSING) else ""


@dataclass(frozen=True)
class Library:
    """Where the page finds what there is to choose from."""

    catalogue: Callable[[], list[Entry]]
    start_images: Callable[[str], list[Path]]
    scenarios: Callable[[], dict[str, list[Scenario]]]
    loop: Callable[[str], Path | None] = lambda checkpoint: None  # the film that its world opens with

    def entry(self, checkpoint: str) -> Entry:
        return next(entry for entry in self.catalogue() if entry.name == checkpoint)

    def of_mode(self, mode: str) -> list[Entry]:
        return [entry for entry in self.catalogue() if entry.mode == mode]

    def first(self) -> Entry:
        """The checkpoint that the page opens with: one that can be played, if any can."""
        return max(self.catalogue(), key=lambda entry: entry.available)

    def best(self, mode: str) -> str:
        """The checkpoint to offer first: one that is there."""
        return max(self.of_mode(mode), key=lambda entry: entry.available).name

    def reference(self, image: str, checkpoint: str) -> str | None:
        """How a scenario names a start image that ships; None for another one."""
        shipped = Path(image) in self.start_images(checkpoint)
        return f"embedded:{Path(image).stem}" if shipped else None

    def shipped(self, reference: str | None, checkpoint: str) -> str | None:
        """The path of a start image by its reference, if there is such a one."""
        paths = self.start_images(checkpoint)
        return next((str(path) for path in paths if f"embedded:{path.stem}" == reference), None)

    def start_image(self, scenario: Scenario) -> str | None:
        """The path of a scenario's own start image; one that `missing` knows if it cannot be had; None if the
        scenario names none.
        """
        name = scenario.image
        if not name:
            return None
        if name.startswith("embedded:"):
            return self.shipped(name, self.best(scenario.mode)) or MISSING + name
        try:
            beside = scenario.path.with_name(name) if scenario.path else None
            if beside and beside.is_file():
                open_picture(beside)
                return str(beside)
        except (OSError, ValueError, PictureError):
            pass  # no file name, or no picture
        return MISSING + name
