"""Reading scenario files."""

from __future__ import annotations

from pathlib import Path

from mgdemo.actions import MODES
from mgdemo.scenario.check import check
from mgdemo.scenario.compiler import Compiler
from mgdemo.scenario.grammar import MAX_BYTES, ScenarioError
from mgdemo.scenario.model import Scenario
from mgdemo.scenario.nodes import Source
from mgdemo.scenario.words import printable


def load_scenario(path: str | Path, *, alone: bool = False) -> Scenario:
    """Read a scenario file. Raises ScenarioError.

    alone: the folder of the file is not where it came from, as with an upload, so it includes nothing there.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise ScenarioError(f"{path.name} cannot be read ({reason}); check the path.") from error
    return _read(text, Source(path.name, None if alone else path.parent), path)


def parse_scenario(text: str | bytes, name: str = "scenario", folder: Path | None = None) -> Scenario:
    """Compile YAML text. Raises ScenarioError.

    name: stands for the file in error messages; folder: where files that it includes are, if anywhere.
    """
    return _read(text, Source(name, folder), None)


def _read(text: str | bytes, source: Source, path: Path | None) -> Scenario:
    checked = check(source, text)
    file, root = checked.file, checked.root
    track, marks, returns = Compiler(MODES[file.mode], checked, path, len(text)).compile()
    return Scenario(
        title=printable(root.part("title").text),
        description=printable(root.part("description").text) if file.description else "",
        mode=file.mode,
        image=file.image,
        seed=file.seed,
        track=track,
        path=path,
        marks=marks,
        returns=returns,
        text=text if isinstance(text, str) else text.decode("utf-8-sig"),
    )
