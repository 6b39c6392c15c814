"""What the page offers to choose from: checkpoints, their start images, scenarios."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mgdemo.checkpoints import Entry
from mgdemo.compare.catalog import variant
from mgdemo.compare.plan import Variant
from mgdemo.errors import UserError
from mgdemo.picture import PictureError, StartImage, open_picture
from mgdemo.references import ImageMissing, reference_of, shipped_image, wanted_image
from mgdemo.scenario import Scenario
from mgdemo.ui.start_images import keys

MISSING = "missing:"  # before the name of a start image, in place of a path


def missing(image: str | None) -> str:
    """What a scenario calls the start image that cannot be had; "" for a path."""
    return image.removeprefix(MISSING) if image and image.startswith(MISSING) else ""


def path_of(image: str | None) -> str | None:
    """The path of a start image that can be had."""
    return None if missing(image) else image


class LibraryError(UserError):
    """What the page does not offer; the message says so."""


@dataclass(frozen=True)
class Library:
    """Where the page finds what there is to choose from."""

    catalog: Callable[[], list[Entry]]
    start_images: Callable[[str], list[Path]]
    scenarios: Callable[[], dict[str, list[Scenario]]]
    loop: Callable[[str], Path | None] = lambda checkpoint: None  # the film shown before Start
    variant: Callable[[str, str], Variant] = (
        variant  # a checkpoint with an optimization, as a column to compare
    )

    def entry(self, checkpoint: str) -> Entry:
        """Raises LibraryError."""
        for entry in self.catalog():
            if entry.name == checkpoint:
                return entry
        raise LibraryError(f"There is no checkpoint called {str(checkpoint)[:80]} here: choose another.")

    def of_mode(self, mode: str) -> list[Entry]:
        return [entry for entry in self.catalog() if entry.mode == mode]

    def first(self) -> Entry:
        """The checkpoint that the page opens with: an available one, if there is any."""
        return max(self.catalog(), key=lambda entry: entry.available)

    def best(self, mode: str) -> str:
        """The checkpoint to offer first: an available one, if there is any. Raises LibraryError."""
        if not (entries := self.of_mode(mode)):
            raise LibraryError(f"There is no world called {str(mode)[:80]} here: choose another.")
        return max(entries, key=lambda entry: entry.available).name

    def fitting(self, checkpoint: str, mode: str) -> str:
        """A checkpoint if it is of the mode, else the mode's best. Raises LibraryError."""
        return checkpoint if self.entry(checkpoint).mode == mode else self.best(mode)

    def images(self, checkpoint: str, own: str | None) -> list[str]:
        """The start images to choose from. own: a visitor's upload, which is deleted after a day."""
        shipped = [str(path) for path in self.start_images(checkpoint)]
        return [*shipped, own] if own and Path(own).is_file() else shipped

    def picked(self, key: object, checkpoint: str, own: str | None) -> str | None:
        """The path of the start image that the page calls so; None if it is not one of these.

        Raises LibraryError for an unknown checkpoint.
        """
        paths = keys([str(path) for path in self.start_images(self.entry(checkpoint).name)], own)
        return paths.get(key) if isinstance(key, str) else None

    def reference(self, image: str, checkpoint: str) -> str | None:
        """How a scenario names a start image that ships; None for another one."""
        return reference_of(image, self.start_images(checkpoint))

    def shipped(self, reference: str | None, checkpoint: str) -> str | None:
        """The path of a start image by its reference, if it is a built-in one."""
        path = shipped_image(reference, self.start_images(checkpoint))
        return path and str(path)

    def start_image(self, scenario: Scenario) -> str | None:
        """The path of a scenario's own start image; one that `missing` knows if it cannot be had; None if the
        scenario names none.
        """
        try:
            path = wanted_image(scenario, self.start_images(self.best(scenario.mode)))
            if path:
                open_picture(path)
            return path and str(path)
        except (ImageMissing, PictureError):
            return MISSING + str(scenario.image)

    def picture(self, path: str, checkpoint: str) -> StartImage:
        """The start image at a path as the checkpoint's world will see it. Raises PictureError."""
        try:
            changed = Path(path).stat().st_mtime_ns
        except OSError:
            changed = 0
        config = self.entry(checkpoint).config
        return _fitted(path, changed, self.reference(path, checkpoint), config.height, config.width)


@lru_cache(32)  # a choice is shown, and then played
def _fitted(path: str, _changed: int, reference: str | None, height: int, width: int) -> StartImage:
    return StartImage(reference, open_picture(path, Path(path).name)).fitted(height, width)
