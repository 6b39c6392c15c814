"""What is kept of a play: the recording while it goes on, and its files at the end."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mgdemo import __version__
from mgdemo.actions import ActionTrack
from mgdemo.scenario import scenario_yaml
from mgdemo.video.encode import is_key
from mgdemo.video.overlay import overlay_mp4
from mgdemo.video.record import Recording

FOLDER = re.compile(r"\d{8}-\d{6}-[0-9a-f]{16}")  # a play's folder; nothing else is ever deleted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The files of a play. `overlay_mp4` and `scenario` are None if they could not be made."""

    mp4: Path
    overlay_mp4: Path | None
    scenario: Path | None
    frames: int
    fps: int


class Keeper:
    """Records one play into a folder of its own.

    A disk that is full or forbidden never ends the play: `trouble` then says from where on nothing is kept.
    """

    def __init__(self, parent: Path, name: str, width: int, height: int, fps: int):
        now = datetime.now().strftime("%Y%m%d-%H%M%S")
        self.folder, self.fps = parent / f"{now}-{secrets.token_hex(8)}", fps
        self.trouble = ""
        self._tracks: list[ActionTrack] = []
        self._recording: Recording | None = None
        try:
            self.folder.mkdir(parents=True, mode=0o700)
            self._recording = Recording(self.folder / f"{name}-{now}.mp4", width, height, fps)
        except OSError as error:
            self._give_up(0, error)

    def actions(self, track: ActionTrack) -> None:
        """The actions of the frames that follow."""
        self._tracks.append(track)

    def frame(self, packet: bytes) -> None:
        if not self.trouble:
            try:
                self._recording.add(packet, is_key(packet))
            except OSError as error:
                self._give_up(self._recording.frames, error)

    def finish(
        self, title: str, checkpoint: str, image: str | None, seed: int, overlay: bool
    ) -> Result | None:
        """Write the files; None if nothing was recorded. `image` and `seed` go into the scenario."""
        recording = self._recording
        if recording is None or not recording.frames:
            if recording is not None:
                recording.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            return None
        tags = {"title": title, "comment": f"Made with mgdemo {__version__}, checkpoint {checkpoint}."}
        scenario = drawn = None
        # A worker that died in the midst of a block has announced more actions than frames came.
        track = ActionTrack.concat(self._tracks).frames(0, recording.frames)
        try:
            tags["scenario"] = scenario_yaml(track, title=title, image=image, seed=seed)
            path = recording.path.with_suffix(".yaml")
            path.write_text(tags["scenario"], encoding="utf-8")
            scenario = path
        except (OSError, ValueError):
            log.exception("The scenario of a play could not be written.")
        recording.close(tags)
        if overlay:
            try:
                path = recording.path.with_stem(f"{recording.path.stem}-keys")
                overlay_mp4(recording.path, path, track)
                drawn = path
            except (OSError, ValueError):
                log.exception("The keys could not be drawn on a recording.")
        return Result(recording.path, drawn, scenario, recording.frames, self.fps)

    def _give_up(self, frame: int, error: OSError) -> None:
        log.error("A recording stops at frame %d: %s", frame, error)
        self.trouble = f"The recording stops at frame {frame}: the server's disk is full or not writable."


def prune(parent: Path, plays: int, megabytes: int, in_use: Collection[Path]) -> None:
    """Delete the oldest plays' folders beyond the newest `plays` and `megabytes`, except those in use."""
    total = 0
    folders = sorted((p for p in parent.iterdir() if FOLDER.fullmatch(p.name) and p.is_dir()), reverse=True)
    for count, folder in enumerate(folders, 1):
        total += sum(file.stat().st_size for file in folder.iterdir())
        if (count > plays or total > megabytes * 10**6) and folder not in in_use:
            shutil.rmtree(folder, ignore_errors=True)
