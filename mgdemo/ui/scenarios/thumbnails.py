"""Small pictures of scenarios: the strip of frames that ships beside one, else its start image."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import Image
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mgdemo.picture import PictureError, open_picture
from mgdemo.scenario import Scenario
from mgdemo.ui.library import Library, missing

ADDRESS = "gradio_api/scenarios"
SUFFIX = ".webp"  # of the strip beside a scenario: frames of one size, one below the other
STRIP_FRAMES = 4
SIZE = 160, 90  # width and height of a frame, in pixels


@dataclass(frozen=True)
class Thumbnail:
    """WebP: one frame of SIZE, or STRIP_FRAMES of them."""

    data: bytes
    frames: int

    @property
    def name(self) -> str:
        """Follows from the picture, so browsers may keep it for good, and nobody guesses it."""
        return hashlib.sha256(self.data).hexdigest()[:24]


class Thumbnails:
    """The pictures of a library's scenarios, and the route that serves them."""

    def __init__(self, library: Library):
        self.library = library
        self._shown: dict[str, bytes] = {}
        self.route = Route(f"/{ADDRESS}/{{name}}{SUFFIX}", self._serve)
        for scenarios in library.scenarios().values():  # for pages that outlast a restart of the server
            for scenario in scenarios:
                self.of(scenario)

    def of(self, scenario: Scenario) -> Thumbnail | None:
        """The picture of a scenario; None if there is none, as of one whose start image is missing."""
        strip = scenario.path and scenario.path.with_suffix(SUFFIX)
        if strip and strip.is_file():
            found = _strip(strip, strip.stat().st_mtime_ns)
        else:
            image = self.library.start_image(scenario) or self._first(scenario.mode)
            found = None if image is None or missing(image) else _still(image, Path(image).stat().st_mtime_ns)
        if found:
            self._shown[found.name] = found.data
        return found

    def address(self, scenario: Scenario) -> tuple[str | None, int]:
        """Where the page finds the picture, relative to its own address, and how many frames it has."""
        found = self.of(scenario)
        return (f"{ADDRESS}/{found.name}{SUFFIX}", found.frames) if found else (None, 1)

    def _first(self, mode: str) -> str | None:
        if not self.library.of_mode(mode):
            return None
        return next(map(str, self.library.start_images(self.library.best(mode))), None)

    async def _serve(self, request: Request) -> Response:
        data = self._shown.get(request.path_params["name"])
        if data is None:
            return Response(status_code=404)
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(data, headers=headers, media_type="image/webp")


@lru_cache(256)
def _strip(path: Path, _changed: int) -> Thumbnail | None:
    data = path.read_bytes()
    try:
        with Image.open(io.BytesIO(data)) as image:
            whole = image.size == (SIZE[0], SIZE[1] * STRIP_FRAMES)
    except (OSError, ValueError):
        return None
    return Thumbnail(data, STRIP_FRAMES if whole else 1)


@lru_cache(256)
def _still(path: str, _changed: int) -> Thumbnail | None:
    try:
        picture = open_picture(path).convert("RGB")
    except PictureError:
        return None
    picture.thumbnail((2 * SIZE[0], 2 * SIZE[1]))
    data = io.BytesIO()
    picture.save(data, "WEBP", quality=70)
    return Thumbnail(data.getvalue(), 1)
