"""What is kept of a play: the recording while it goes on, and its files at the end."""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import shutil
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from PIL import Image

from mgdemo import __version__
from mgdemo.actions import ActionTrack
from mgdemo.replay import film_tags
from mgdemo.scenario import scenario_yaml
from mgdemo.video.encode import is_key
from mgdemo.video.overlay import overlay_mp4
from mgdemo.video.record import Recording, Reel

FILMS = 8  # of one play, at most
FOLDER = re.compile(r"\d{8}-\d{6}-[0-9a-f]{16}")  # a play's folder; nothing else is ever deleted

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The files of a play. `overlay_mp4` and `scenario` are None if they could not be made.

    `branches` are films of the ends that the play was led back from.
    """

    mp4: Path
    overlay_mp4: Path | None
    scenario: Path | None
    frames: int
    fps: int
    branches: tuple[Path, ...] = ()


@dataclass
class _Kept:
    """A node's actions, and the places of its packets in the reel."""

    parent: int
    actions: ActionTrack
    packets: dict[int, tuple[int, int]] = field(default_factory=dict)  # by frame

    @property
    def whole(self) -> bool:
        return len(self.packets) == len(self.actions)


class Keeper:
    """Records one play into a folder of its own.

    Each branch begins with a key frame, and so does a block made again: at the end, the packets along any
    line of the play's tree make a film.
    A disk that is full or forbidden never ends the play: `trouble` then says from where on nothing is kept.
    """

    def __init__(self, parent: Path, name: str, width: int, height: int, fps: int):
        now = datetime.now().strftime("%Y%m%d-%H%M%S")
        self.folder, self.fps = parent / f"{now}-{secrets.token_hex(8)}", fps
        self.trouble = ""
        self._film, self._size = self.folder / f"{name}-{now}.mp4", (width, height)
        self._nodes: dict[int, _Kept] = {}
        self._again: dict[int, _Kept] = {}  # nodes made again, until their frames are all there
        self._reel: Reel | None = None
        try:
            self.folder.mkdir(parents=True, mode=0o700)
            self._reel = Reel(self._film.with_suffix(".h264"))
        except OSError as error:
            self._give_up(0, error)

    def block(self, node: int, parent: int, actions: ActionTrack) -> None:
        """The actions of a node whose frames follow; one that was there before is made again."""
        nodes = self._again if node in self._nodes else self._nodes
        nodes[node] = _Kept(parent, actions)

    def frame(self, node: int, index: int, packet: bytes) -> None:
        """A packet of a node: frame `index` of its line. Those of a node made again may come in two runs."""
        if self.trouble:
            return
        kept = self._again.get(node) or self._nodes[node]
        try:
            kept.packets[index] = self._reel.add(packet)
        except OSError as error:
            self._give_up(index, error)
        if node in self._again and kept.whole:
            self._nodes[node] = self._again.pop(node)

    def finish(
        self,
        head: int,
        title: str,
        checkpoint: str,
        image: str | None,
        seed: int,
        overlay: bool,
        picture: Image.Image | None = None,
    ) -> Result | None:
        """Write the films: that of the line to `head`, and those of lines to the ends of other branches.

        None if nothing was recorded. `image` and `seed` go into the scenarios; `picture` is the start image,
        kept in the films' tags if it has no name.
        """
        tags = {"title": title, "comment": f"Made with mgdemo {__version__}, checkpoint {checkpoint}."}
        tags |= film_tags(checkpoint, None if image else picture)
        films = []
        for count, line in enumerate(self._lines(head)):
            frames = sum(len(kept.packets) for kept in line)
            track = ActionTrack.concat([kept.actions for kept in line]).frames(0, frames)
            text = self._scenario(track, title, image, seed)
            path = self._film.with_stem(f"{self._film.stem}-branch{count}") if count else self._film
            try:
                self._write(path, line, tags | {"scenario": text} if text else tags)
            except OSError:
                if not films:
                    raise  # and the reel stays
                log.exception("A branch of a play could not be written.")
                path.unlink(missing_ok=True)
                continue
            films.append((path, track, text))
        if self._reel is not None:
            self._reel.remove()
        if not films:
            shutil.rmtree(self.folder, ignore_errors=True)
            return None
        (film, track, text), *others = films
        scenario = drawn = None
        try:
            if text:
                path = film.with_suffix(".yaml")
                path.write_text(text, encoding="utf-8")
                scenario = path
            if overlay:
                path = film.with_stem(f"{film.stem}-keys")
                overlay_mp4(film, path, track)
                drawn = path
        except (OSError, ValueError):
            log.exception("What belongs to a film could not be written.")
        branches = tuple(path for path, *_ in others)
        return Result(film, drawn, scenario, len(track), self.fps, branches)

    def _write(self, path: Path, line: list[_Kept], tags: dict[str, str]) -> None:
        recording = Recording(path, *self._size, self.fps)
        try:
            for _, place in sorted(item for kept in line for item in kept.packets.items()):
                packet = self._reel.read(place)
                recording.add(packet, is_key(packet))
        finally:
            recording.close(tags)

    def _lines(self, head: int) -> list[list[_Kept]]:
        """The recorded lines: to `head` first, then to other branches' ends, the newest first."""
        inner = {kept.parent for kept in self._nodes.values()}
        ends = [node for node in reversed(self._nodes) if node not in inner and node != head]
        lines = [self._line(node) for node in ([head, *ends] if head in self._nodes else ends)]
        return [line for line in lines if line][:FILMS]

    def _line(self, node: int) -> list[_Kept]:
        """What is recorded of the way from the start to a node: whole blocks, so that a replay is the same.

        (Of one that was under way at the end, nothing has been shown.) Trouble may begin in the midst of one.
        """
        line = []
        while node in self._nodes:
            line.append(self._nodes[node])
            node = line[-1].parent
        line.reverse()
        whole = sum(1 for _ in itertools.takewhile(lambda kept: kept.whole, line))
        return [kept for kept in line[: whole + bool(self.trouble)] if kept.packets]

    def _scenario(self, track: ActionTrack, title: str, image: str | None, seed: int) -> str:
        try:
            return scenario_yaml(track, title=title, image=image, seed=seed)
        except ValueError:
            log.exception("The scenario of a play could not be written.")
            return ""

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
