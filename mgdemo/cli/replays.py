"""Replaying many scenarios, each with a film: through its own checkpoint, or through one of its mode."""

from __future__ import annotations

import argparse
import shutil
from collections import defaultdict
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

from mgdemo.cli.compare import made, say_size
from mgdemo.cli.recorded import checkpoint_of, keep_source, say_missing, say_same
from mgdemo.errors import UserError

if TYPE_CHECKING:
    from mgdemo.compare.plan import Case, Grid
    from mgdemo.replay import Replay


def replay_all(args: argparse.Namespace, paths: list[Path]) -> int:
    """Make the films of several scenarios into the output folder, each named like its scenario. What is there
    already is not made again; the others are made if one fails. Returns 1 then."""
    from mgdemo.compare.catalog import cases
    from mgdemo.compare.device import look
    from mgdemo.compare.store import RunStore
    from mgdemo.compare.table import as_text, cells
    from mgdemo.replay import open_replay

    device, failed = look(args.device), False
    store = RunStore(args.output_folder / "runs")
    seeds, images = ([] if each is None else [each] for each in (args.seed, args.image))
    if args.config:
        raise UserError("--config is for one scenario: give --checkpoint, or the scenarios one by one.")
    recorded = {path: open_replay(path) for path in paths}
    rows = [(path, case) for path in paths for case in cases([str(path)], seeds=seeds, images=images)]
    names = _names(paths)
    for path in paths:
        keep_source(path, args.output_folder, [f"{name}.mp4" for name in names.values()])
    with_checkpoints = [(args.checkpoint or _checkpoint(path, recorded[path]), case) for path, case in rows]
    for planned in _grids(with_checkpoints, args.optimization, device.kind):
        say_size(planned, store, args.device, device)
        outcomes = made(planned, store, args.device, device.kind)
        print(as_text(planned, cells(planned, outcomes)))
        for outcome in outcomes:
            if outcome.stored is None:
                failed = True
                continue
            path = next(path for path, case in rows if case is outcome.run.case)
            shutil.copyfile(outcome.stored.video, args.output_folder / f"{names[path]}.mp4")
            say_same(path, recorded[path], outcome.stored.facts["frames_sha256"])
    print(f"\n{args.output_folder}")
    return int(failed)


def _checkpoint(path: Path, recorded: Replay) -> str:
    """The name of the one that it was recorded with, or else of its mode's."""
    from mgdemo.checkpoints import resolve

    if here := checkpoint_of(recorded):
        return here
    config = resolve(None, mode=recorded.scenario.mode).config
    say_missing(path, recorded, here, config.title)
    return config.name


def _grids(rows: list[tuple[str, Case]], optimization: str, kind: str) -> list[Grid]:
    """One for each checkpoint."""
    from mgdemo import __version__
    from mgdemo.compare.catalog import variant
    from mgdemo.compare.plan import grid

    by_name: dict[str, list[Case]] = defaultdict(list)
    for name, case in rows:
        by_name[name].append(case)
    return [
        grid(cases, [variant(name, optimization)], version=__version__, device=kind)
        for name, cases in by_name.items()
    ]


def _names(paths: list[Path]) -> dict[Path, str]:
    """Of films: the scenarios' own, with their folders where two are called the same, and with numbers where
    that is not enough."""
    stems = [path.stem for path in paths]
    names: dict[Path, str] = {}
    for path in paths:
        alone = stems.count(path.stem) == 1
        name = path.stem if alone else f"{path.absolute().parent.name}-{path.stem}"
        numbered = chain([name], map(f"{name}-{{}}".format, count(2)))
        names[path] = next(each for each in numbered if each not in names.values())
    return names
