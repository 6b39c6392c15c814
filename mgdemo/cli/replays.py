"""Replaying many scenarios: each through a checkpoint of its own mode, with a film."""

from __future__ import annotations

import argparse
import shutil
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from mgdemo.cli.compare import made, say_size

if TYPE_CHECKING:
    from mgdemo.compare.plan import Case, Grid


def replay_all(args: argparse.Namespace, paths: list[Path]) -> int:
    """Make the films of several scenarios into the output folder, each named like its scenario. What is there
    already is not made again; the others are made if one fails. Returns 1 then."""
    from mgdemo.compare.catalog import cases
    from mgdemo.compare.device import look
    from mgdemo.compare.store import RunStore
    from mgdemo.compare.table import as_text, cells

    device, failed = look(args.device), False
    store = RunStore(args.output_folder / "runs")
    seeds, images = ([] if each is None else [each] for each in (args.seed, args.image))
    rows = [(path, case) for path in paths for case in cases([str(path)], seeds=seeds, images=images)]
    names = _names(paths)
    for planned in _grids([case for _, case in rows], args.checkpoint, args.optimization, device.kind):
        say_size(planned, store, args.device, device)
        outcomes = made(planned, store, args.device, device.kind)
        print(as_text(planned, cells(planned, outcomes)))
        for outcome in outcomes:
            if outcome.stored is None:
                failed = True
                continue
            path = next(path for path, case in rows if case is outcome.run.case)
            shutil.copyfile(outcome.stored.video, args.output_folder / f"{names[path]}.mp4")
    print(f"\n{args.output_folder}")
    return int(failed)


def _grids(rows: list[Case], checkpoint: str | None, optimization: str, kind: str) -> list[Grid]:
    """One for each mode, or for the one checkpoint that is asked for."""
    from mgdemo import __version__
    from mgdemo.checkpoints import resolve
    from mgdemo.compare.catalog import variant
    from mgdemo.compare.plan import grid

    by_name: dict[str, list[Case]] = defaultdict(list)
    for case in rows:
        by_name[checkpoint or resolve(None, mode=case.track.mode).config.name].append(case)
    return [
        grid(cases, [variant(name, optimization)], version=__version__, device=kind)
        for name, cases in by_name.items()
    ]


def _names(paths: list[Path]) -> dict[Path, str]:
    """Of films: the scenarios' own, with their folders where two are called the same."""
    stems = [path.stem for path in paths]
    return {
        path: path.stem if stems.count(path.stem) == 1 else f"{path.absolute().parent.name}-{path.stem}"
        for path in paths
    }
