"""What a replay says of the session that it repeats: the checkpoint it was recorded with, and its frames."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mgdemo.errors import UserError

if TYPE_CHECKING:
    from mgdemo.replay import Replay


def checkpoint_of(recorded: Replay | None) -> str | None:
    """The checkpoint that a session was recorded with, if it is on this machine."""
    from mgdemo.checkpoints import catalog

    name = recorded.checkpoint if recorded else None
    return name if any(entry.name == name and entry.available for entry in catalog()) else None


def keep_source(source: Path, folder: Path, names: Iterable[str]) -> None:
    """Raises UserError if what is replayed would be overwritten by a file of these names in the folder."""
    if any((folder / name).exists() and (folder / name).samefile(source) for name in names):
        raise UserError(f"{source} would be overwritten: choose another folder with --output-folder.")


def say_missing(path: Path, recorded: Replay, here: str | None, title: str) -> None:
    """If the checkpoint of a recorded session is not `here`, that another one, `title`, is used instead."""
    if recorded.checkpoint and not here:
        words = f"{path} was made with {recorded.checkpoint}, which is not here; using {title} instead."
        print(words, file=sys.stderr)


def say_same(path: Path, recorded: Replay, made: str | None) -> None:
    """Of a film: whether its frames were made again; made: the hash of those."""
    if recorded.frames_sha256:
        print(f"The frames are {'' if made == recorded.frames_sha256 else 'not '}those of {path}.")
