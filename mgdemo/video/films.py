"""The files of a session: its packets as they come, and the films, scenarios and branches made of them."""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mgdemo import __version__
from mgdemo.actions import ActionTrack
from mgdemo.apart import apart
from mgdemo.errors import UserError
from mgdemo.picture import StartImage
from mgdemo.replay import film_tags
from mgdemo.scenario import OWN_PICTURE, Mark, scenario_yaml
from mgdemo.video.digest import TAG
from mgdemo.video.mp4 import mux
from mgdemo.video.overlay import overlay_mp4

PATIENCE, SLOWEST = 60.0, 10.0  # seconds that the film with keys may take, and for each of its seconds

Place = tuple[int, int]  # of a packet in a log: where it begins, and its length

log = logging.getLogger(__name__)


class PacketLog:
    """All packets of a session, in the order of making: an H.264 file that plays as it is after a crash."""

    def __init__(self, path: str | Path):
        """Raises OSError."""
        self.path, self.size = Path(path), 0  # bytes
        self._file = self.path.open("wb", buffering=0)

    @classmethod
    def reopen(cls, path: Path) -> PacketLog:
        """One that was written earlier, to be read. Raises OSError."""
        log_ = cls.__new__(cls)
        log_.path, log_.size, log_._file = path, path.stat().st_size, path.open("rb", buffering=0)
        return log_

    def add(self, data: bytes) -> Place:
        """Append a packet, or several. Raises OSError, as on a full disk; then nothing was appended."""
        self._file.seek(self.size)  # what was written in part is overwritten
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += len(data)
        return self.size - len(data), len(data)

    def read(self, places: Sequence[Place]) -> Iterator[bytes]:
        """Packets again, also after `close`. Raises OSError."""
        with self.path.open("rb") as file:
            for start, length in places:
                file.seek(start)
                yield file.read(length)

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        self.close()
        self.path.unlink(missing_ok=True)


@dataclass(frozen=True)
class About:
    """What a session was, for the tags of its films and for its scenarios.

    beside: what its scenarios call a start image that does not ship, which would lie beside them
    marks: of the scenario that it followed
    """

    title: str
    checkpoint: str
    seed: int
    start: StartImage
    beside: str = OWN_PICTURE
    marks: tuple[Mark, ...] = ()

    def scenario(self, track: ActionTrack) -> str:
        """The scenario that repeats the session; "" if it cannot be written."""
        image = self.start.reference or self.beside
        try:
            return scenario_yaml(track, title=self.title, image=image, seed=self.seed, marks=self.marks)
        except ValueError:
            log.exception("The scenario of a session could not be written.")
            return ""

    def tags(self, scenario: str) -> dict[str, str]:
        made = f"Made with mgdemo {__version__}, checkpoint {self.checkpoint}."
        tags = {"title": self.title, "comment": made}
        tags |= film_tags(self.checkpoint, None if self.start.reference else self.start.picture)
        return tags | {"scenario": scenario} if scenario else tags


@dataclass(frozen=True)
class Cut:
    """What a film is made of: its packets, in the order of the frames, and their actions.

    frames_sha256: names the frames before encoding (`mgdemo.video.digest`); "" if that is not known.
    """

    packets: Sequence[Place]
    track: ActionTrack
    frames_sha256: str = ""


@dataclass(frozen=True)
class Recording:
    """The files of a session, or of one of its branches. Those that could not be made are None.

    number: its branch's number on the page, from 1; None if the session has no branches
    branches: the others, in the order of their numbers; their files are made when they are asked for
    """

    mp4: Path
    overlay_mp4: Path | None
    scenario: Path | None
    frames: int
    fps: int
    number: int | None = None
    branches: tuple[Branch, ...] = ()

    @property
    def seconds(self) -> float:
        return self.frames / self.fps


class RecordingGone(UserError):
    """The files of a branch cannot be made any more."""


@dataclass(frozen=True)
class Branch:
    """Another branch of a session. `left_at`: the frame at which it left the one that was recorded as a film.

    What it has in common with others is on the disk only once, until `write` is called.
    """

    number: int  # on the page, from 1
    node: int  # the last one
    frames: int
    left_at: int
    fps: int
    _write: Callable[[], Recording] = field(repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _written: list[Recording] = field(default_factory=list, repr=False, compare=False)

    @property
    def seconds(self) -> float:
        return self.frames / self.fps

    @property
    def left_seconds(self) -> float:
        return self.left_at / self.fps

    @property
    def label(self) -> str:
        return f"Branch {self.number}: {self.seconds:.1f} s, from {self.left_seconds:.1f} s on"

    def write(self) -> Recording:
        """Its files, made when first asked for, which takes a while. For any thread. Raises RecordingGone."""
        with self._lock:
            if not self._written or not self._written[0].mp4.exists():
                try:
                    self._written[:] = [self._write()]
                except (OSError, ValueError) as error:
                    log.exception("The film of a branch could not be written.")
                    raise RecordingGone(
                        f"The film of branch {self.number} cannot be made: the files of this session were "
                        f"deleted, or the server's disk is full."
                    ) from error
            return self._written[0]


def write_recording(
    packets: PacketLog,
    cut: Cut,
    path: Path,
    size: tuple[int, int],
    fps: int,
    about: About,
    *,
    number: int | None = None,
    branches: tuple[Branch, ...] = (),
) -> Recording:
    """Write the film `path`, and its scenario beside it; quickly, since nothing is encoded again.

    size: width and height. Raises OSError if there can be no film; without a scenario there can be one.
    """
    text = about.scenario(cut.track)
    tags = about.tags(text) | ({TAG: cut.frames_sha256} if cut.frames_sha256 else {})
    frames = mux(path, packets.read(cut.packets), size, fps, tags)
    scenario = None
    try:
        if text:
            path.with_suffix(".yaml").write_text(text, encoding="utf-8")
            scenario = path.with_suffix(".yaml")
    except (OSError, ValueError):
        log.exception("The scenario of a film could not be written.")
    return Recording(path, None, scenario, frames, fps, number, branches)


def with_keys(recording: Recording, path: Path, track: ActionTrack) -> Recording:
    """A recording with another film of it, `path`, on which the keys are drawn; without it if that fails.
    Takes long, since all frames are encoded again."""
    try:
        patience = PATIENCE + SLOWEST * recording.seconds
        apart(overlay_mp4, recording.mp4, path, track, patience=patience)
    except (OSError, ValueError):
        log.exception("A film with keys could not be made.")
        return recording
    return replace(recording, overlay_mp4=path)
