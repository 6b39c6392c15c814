"""What a page sends of its form, and what it asks for by that."""

from __future__ import annotations

from typing import NamedTuple

from mgdemo.errors import UserError
from mgdemo.references import ImageMissing
from mgdemo.scenario import Scenario
from mgdemo.seeds import seed_of
from mgdemo.serving import SessionRequest
from mgdemo.ui.library import Library, missing, path_of
from mgdemo.ui.share import Shared


class FormError(UserError):
    """What is chosen cannot be played; the message says why and what to do."""


class Chosen(NamedTuple):
    """As it was sent, unchecked but for the paths, which the server itself keeps: `image` of the chosen start
    image, `own` of the visitor's upload; either may be None. picked: the start image's key on the page."""

    mode: str
    checkpoint: str
    image: str | None
    picked: object
    own: str | None
    seed: object

    def request(self, library: Library, scenario: Scenario | None = None) -> SessionRequest:
        """What these choices ask for: a live session, or the scenario. Raises UserError."""
        checkpoint, image = self._settled(library)
        path = path_of(image)
        if not path:
            raise FormError(choose(image))
        return SessionRequest(
            checkpoint,
            library.picture(path, checkpoint),
            seed_of(self.seed),
            scenario.track if scenario else None,
            scenario.title if scenario else "",
            marks=scenario.marks if scenario else (),
        )

    def shared(self, library: Library, scenario: Scenario | None = None) -> Shared:
        """What a link to these choices holds. Raises UserError."""
        checkpoint, image = self._settled(library)
        path = path_of(image)
        reference = library.reference(path, checkpoint) if path else None
        return Shared(self.mode, checkpoint, reference, seed_of(self.seed), scenario)

    def _settled(self, library: Library) -> tuple[str, str | None]:
        """Checkpoint and start image. What was chosen a moment ago is not settled yet: the page does not know
        what comes with its mode, or the server not which path its start image has."""
        checkpoint = library.fitting(self.checkpoint, self.mode)
        if checkpoint != self.checkpoint:
            return checkpoint, offered(self.image, library.images(checkpoint, self.own))
        return checkpoint, library.picked(self.picked, checkpoint, self.own) or self.image


def offered(image: str | None, paths: list[str]) -> str | None:
    """A start image if it is one of these or known to be missing, else the first of these."""
    return image if image in paths or missing(image) else next(iter(paths), None)


def choose(image: str | None) -> str:
    """Why it cannot start without a start image."""
    if name := missing(image):
        return f"{ImageMissing(name)} Any other start image will do, too."
    return "Choose a start image first."
