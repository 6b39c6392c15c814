"""Where runs are kept: one folder per run, named by its key, complete or absent."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

UNFINISHED = ".unfinished-"  # before the names of folders that are being filled
DAY = 86_400
RECENT = 100  # runs of which speeds are read: the page asks at each key press


@dataclass(frozen=True)
class StoredRun:
    """A finished run. `facts`: what it was and how it went; `measures`: of `mgdemo.measure.run`."""

    folder: Path
    facts: dict = field(repr=False)
    measures: dict = field(repr=False)

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def video(self) -> Path:
        return self.folder / "video.mp4"


def forget_unfinished(folder: Path, now: float) -> None:
    """Delete what programs that were killed have left half made."""
    for left in folder.glob(f"{UNFINISHED}*"):
        with contextlib.suppress(OSError):  # another program was faster
            if now - left.stat().st_mtime > DAY:
                shutil.rmtree(left, ignore_errors=True)


class RunStore:
    """Runs in `folder`. Several programs may share one: whoever finishes a run first keeps it."""

    def __init__(self, folder: Path):
        """The folder is made with the first run."""
        self.folder = folder
        forget_unfinished(folder, time.time())

    def get(self, key: str) -> StoredRun | None:
        """A run by its key, if it is finished."""
        folder = self.folder / key
        try:
            facts, measures = (
                json.loads((folder / name).read_text("utf-8")) for name in ("run.json", "measures.json")
            )
        except (OSError, ValueError):
            return None
        return StoredRun(folder, facts, measures) if (folder / "video.mp4").is_file() else None

    def film(self, key: str) -> Path | None:
        """The film of a run, if it is finished; nothing is read."""
        path = StoredRun(self.folder / key, {}, {}).video
        return path if path.is_file() else None

    def speeds(self) -> dict[tuple[str, str], float]:
        """The frames a second of each checkpoint with its optimization, by its latest run among the last
        `RECENT` ones here."""
        changed: list[tuple[float, Path]] = []
        for path in self.folder.glob("*/run.json"):
            if not path.parent.name.startswith("."):
                with contextlib.suppress(OSError):  # deleted meanwhile
                    changed.append((path.stat().st_mtime, path))
        found: dict[tuple[str, str], float] = {}
        for _, path in sorted(changed, reverse=True)[:RECENT]:
            with contextlib.suppress(OSError, ValueError, KeyError):
                facts = json.loads(path.read_text("utf-8"))
                if fps := facts["timings"]["fps"]:
                    found.setdefault((facts["checkpoint"], facts["optimization"]), fps)
        return found

    @contextmanager
    def filling(self, key: str) -> Iterator[Path]:
        """A folder for a run's files. It becomes the run's at the end, at once, unless something failed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        folder = Path(mkdtemp(prefix=f"{UNFINISHED}{key}-", dir=self.folder))
        try:
            yield folder
            try:
                folder.rename(self.folder / key)
            except OSError:
                if self.get(key) is None:  # not that another program was faster
                    shutil.rmtree(self.folder / key, ignore_errors=True)
                    folder.rename(self.folder / key)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
