"""Sessions to repeat: a scenario's file, or a recorded film, whose tags hold all that it began with."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from mgdemo.picture import PictureError, open_picture
from mgdemo.picture_process import open_apart
from mgdemo.scenario import Scenario, ScenarioError, load_scenario, parse_scenario
from mgdemo.scenario.words import printable

SCENARIOS, FILMS = (".yaml", ".yml"), (".mp4",)
MAX_IMAGE = 12 * 2**20  # characters of the start image's tag
Decode = Callable[[bytes, str], Image.Image]
MAX_TAGS = 24 * 2**20  # bytes of all tags as JSON


@dataclass(frozen=True)
class Replay:
    """A scenario and, from a film, its checkpoint, its start image, unless that ships, and the name of its
    frames (`mgdemo.video.digest`).
    """

    scenario: Scenario
    checkpoint: str | None = None
    image: Image.Image | None = None
    frames_sha256: str = ""


def film_tags(checkpoint: str, image: Image.Image | None) -> dict[str, str]:
    """The tags that make a film replayable, beside that of the scenario. image: if it is none that ships."""
    if image is None:
        return {"checkpoint": checkpoint}
    data = io.BytesIO()
    image.save(data, "PNG")
    return {"checkpoint": checkpoint, "start_image": base64.b64encode(data.getvalue()).decode()}


def open_replay(path: str | Path, *, alone: bool = False) -> Replay:
    """Read a scenario's YAML file or a film that was made here. Raises ScenarioError.

    alone: it is an upload, beside which lies nothing that it could include.
    """
    path = Path(path)
    if path.suffix.lower() not in FILMS:
        return Replay(load_scenario(path, alone=alone))
    from av.error import FFmpegError

    from mgdemo.video.mp4 import metadata

    try:
        tags = metadata(path)
    except (FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise ScenarioError(
            f"{path.name} cannot be read as a video ({reason}); give an mp4 that was made here."
        ) from error
    replay = replay_from_tags(tags, path.name)
    return dataclasses.replace(replay, scenario=dataclasses.replace(replay.scenario, path=path))


def open_tags(path: str | Path, name: str) -> Replay:
    """Read the tags of the film called `name`, which the page has sent as a JSON object in a file of its own
    (null: it found no film). A stranger made it: its picture is read apart. Raises ScenarioError.
    """
    path, tags = Path(path), None
    try:
        if path.stat().st_size <= MAX_TAGS:
            tags = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        pass
    if not isinstance(tags, dict):
        raise ScenarioError(f"{name} cannot be read as a video; give an mp4 that was made here.")
    tags = {key: text for key, text in tags.items() if isinstance(text, str)}
    return replay_from_tags(tags, name, open_apart)


def replay_from_tags(tags: Mapping[str, str], name: str, decode: Decode = open_picture) -> Replay:
    """What a film called `name` repeats, by its tags. decode: reads its picture. Raises ScenarioError."""
    if not tags.get("scenario"):
        raise ScenarioError(f"{name} has no scenario inside; give the .yaml file of the session instead.")
    scenario = parse_scenario(tags["scenario"], f"the scenario in {name}")
    checkpoint = printable(tags.get("checkpoint", "")) or None
    start = _start_image(tags.get("start_image", ""), name, decode)
    return Replay(scenario, checkpoint, start, printable(tags.get("frames_sha256", "")))


def _start_image(text: str, name: str, decode: Decode) -> Image.Image | None:
    if not text:
        return None
    try:
        if len(text) > MAX_IMAGE:
            raise PictureError("too large")
        return decode(base64.b64decode(text, validate=True), f"the start image in {name}")
    except (ValueError, PictureError) as error:
        raise ScenarioError(
            f"{name} holds a start image that cannot be read; give the .yaml file of the session instead."
        ) from error
