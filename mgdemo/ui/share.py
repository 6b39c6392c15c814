"""Links that open the page as it was. What is chosen travels in the URL's fragment, which no server logs."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from mgdemo.actions import MODES
from mgdemo.errors import UserError
from mgdemo.scenario import MAX_BYTES, Scenario, ScenarioError, bare_yaml, parse_scenario
from mgdemo.seeds import MAX_SEED

PLAY, REPLAY = "play=", "replay="  # what the fragment begins with: without a scenario, and with one
COMPARE = "compare="  # a comparison, see mgdemo/ui/compare/link.py
MAX_LINK = 16_000  # characters of a fragment: what chats and mails pass on
MAX_UPLOAD_BYTES = 40 * 10**6  # of a file that is opened on the page
INCLUDE = re.compile(r"\binclude\b[\"']?\s*:")  # the field; the word may stand in a comment or a title
SHIPPED = r"embedded:[^/\\]{1,120}"  # the name of a start image that ships
DAMAGED = "This link is incomplete, so the page opened with its defaults. Copy the whole link and try again."

_RIGHT = {
    "mode": lambda value: isinstance(value, str) and value in MODES,
    "checkpoint": lambda value: isinstance(value, str),
    "image": lambda value: value is None or (isinstance(value, str) and re.fullmatch(SHIPPED, value)),
    "seed": lambda value: type(value) is int and 0 <= value <= MAX_SEED,
    "scenario": lambda value: value is None or isinstance(value, str),
}


class ShareError(UserError):
    """What is chosen fits into no link, or a link cannot be read; the message says what to do."""


@dataclass(frozen=True)
class Shared:
    """What a link restores. `image` is "embedded:<name>", or None: the first one that ships."""

    mode: str
    checkpoint: str
    image: str | None
    seed: int
    scenario: Scenario | None = None


def fragment(shared: Shared) -> str:
    """The fragment of the link, without "#". Raises ShareError."""
    fields = {key: getattr(shared, key) for key in ("mode", "checkpoint", "image", "seed")}
    if shared.scenario is None:
        return PLAY + packed(fields)
    for written in _texts(shared, shared.scenario):
        text = REPLAY + packed(fields | {"scenario": written})
        if len(text) <= MAX_LINK:
            return text
    raise ShareError("This session is too long for a link. Save its film or scenario and share the file.")


def _texts(shared: Shared, scenario: Scenario) -> Iterator[str]:
    """A scenario as its author wrote it, if that says it all by itself; then its bare actions."""
    with contextlib.suppress(ScenarioError):
        alone = scenario.text and not INCLUDE.search(scenario.text)
        if alone and parse_scenario(scenario.text).track == scenario.track:
            yield scenario.text
    yield bare_yaml(dataclasses.replace(scenario, image=shared.image, seed=shared.seed))


def parse(text: str) -> Shared:
    """What a link's fragment says. Raises ShareError, for a stranger's link as for one that is cut off."""
    try:
        key, _, rest = text.partition("=")
        if len(text) > MAX_LINK:
            raise ValueError("too long")
        fields = _fields(unpacked(rest))
        written = fields.pop("scenario")
        if f"{key}=" != (PLAY if written is None else REPLAY):
            raise ValueError("not of our making")
        scenario = parse_scenario(written, "the link's scenario") if written else None
        if scenario and scenario.mode != fields["mode"]:
            raise ValueError("two modes")
        return Shared(**fields, scenario=scenario)
    except (ValueError, ScenarioError, zlib.error, RecursionError) as error:
        raise ShareError(DAMAGED) from error


def packed(value: object) -> str:
    """A JSON value in characters that may stand in a fragment."""
    data = zlib.compress(json.dumps(value).encode(), 9)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unpacked(text: str) -> object:
    """What `packed` made, but never more than a scenario may have. Raises ValueError, zlib.error or
    RecursionError."""
    stream = zlib.decompressobj()
    data = stream.decompress(base64.urlsafe_b64decode(text + "==="), 2 * MAX_BYTES)
    if not stream.eof:
        raise ValueError("too large or cut off")
    return json.loads(data)


def _fields(fields: object) -> dict:
    if not isinstance(fields, dict) or not fields.keys() <= _RIGHT.keys():
        raise ValueError("no fields of ours")
    fields = {name: fields.get(name) for name in _RIGHT}
    if wrong := [name for name, right in _RIGHT.items() if not right(fields[name])]:
        raise ValueError(f"wrong: {wrong}")
    return fields
