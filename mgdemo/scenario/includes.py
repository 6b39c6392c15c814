"""Which files a scenario may include, and how much of them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from mgdemo.errors import UserError
from mgdemo.paths import SCENARIOS
from mgdemo.scenario.grammar import MAX_BYTES
from mgdemo.scenario.words import meant, quoted

SHIPPED = "embedded:"  # before the names of scenarios that ship
SUFFIXES = {".yaml", ".yml"}
MAX_FILES = 20  # that a scenario includes, all told
MAX_CHAIN = 5  # files that include one another
MAX_LISTED = 1000  # files of a folder in which a misspelled name is looked for
NO_FOLDER = (
    "{} would be a file beside this one, and here there is none; put its steps in its place, or make one "
    'file of them with "mgdemo scenario flatten"'
)


class IncludeError(UserError):
    """A file that cannot be included; the message, without a period, is the rest of a ScenarioError."""


class Includes:
    """The files that a scenario of a mode includes, read once each, within limits for all together."""

    def __init__(self, mode: str, size: int):
        """size: bytes of the scenario itself."""
        self.mode, self.size = mode, size
        self.texts: dict[Path, bytes] = {}

    def find(self, name: str, folder: Path | None) -> Path:
        """The path of the file that a scenario in `folder` calls `name`. Raises IncludeError."""
        if name.startswith(SHIPPED):
            return self._shipped(name.removeprefix(SHIPPED))
        if folder is None:
            raise IncludeError(NO_FOLDER.format(quoted(name)))
        try:
            path = (folder / name).resolve()
            if path.is_file():
                if path.parent != folder.resolve():
                    raise IncludeError(f"{quoted(name)} leads to another folder; copy the file into this one")
                return path
            known = [path.name for path in islice(folder.iterdir(), MAX_LISTED) if path.suffix in SUFFIXES]
        except (OSError, ValueError, RuntimeError):  # no name of a file, such as one that is too long
            known = []
        raise IncludeError(f"there is no {quoted(name)} in this folder{meant(name, known)}; check the name")

    def _shipped(self, name: str) -> Path:
        paths = {path.stem: path for path in (SCENARIOS / self.mode).glob("*.yaml")}
        if name in paths:
            return paths[name].resolve()
        near = meant(name, paths)
        raise IncludeError(
            f"no scenario called {quoted(name)} ships for mode {self.mode}{near}; "
            f"choose one of scenarios/{self.mode}"
        )

    def read(self, path: Path) -> bytes:
        """The text of a file that was found. Raises IncludeError."""
        if path not in self.texts:
            if len(self.texts) == MAX_FILES:
                raise IncludeError(f"a scenario includes {MAX_FILES} files at most; put some together")
            try:
                with path.open("rb") as file:
                    text = file.read(MAX_BYTES + 1)
            except OSError as error:
                raise IncludeError(
                    f"{quoted(path.name)} cannot be read ({error.strerror}); check the file"
                ) from error
            self.size += len(text)
            if self.size > MAX_BYTES:
                limit = f"{MAX_BYTES // 1024} KB"
                raise IncludeError(f"with what it includes, this is larger than {limit}; shorten it")
            self.texts[path] = text
        return self.texts[path]
