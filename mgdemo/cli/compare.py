"""The command that compares checkpoints."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mgdemo.cli.terminal import status

if TYPE_CHECKING:
    from mgdemo.compare.plan import Grid, Run
    from mgdemo.compare.run import Outcome
    from mgdemo.compare.store import RunStore
    from mgdemo.serving import SessionService


def compare(args: argparse.Namespace) -> int:
    """Run scenarios through several checkpoints and score how well each one follows its controls, and for how
    long its picture holds up. Columns are checkpoints (times optimizations); rows are scenarios (times seeds,
    times start images). The leftmost column is the baseline. Actions are translated between modes by
    what they mean.

    Writes report.html (one file that opens anywhere), report.json, report.csv and contact-sheet.png. Each run
    is kept in runs/; what is there already is not made again, so a comparison that was stopped continues.
    Returns 1 if a run failed.

      python -m mgdemo compare scenarios/universal/first-steps.yaml
      python -m mgdemo compare 'scenarios/gta_drive/*.yaml' --checkpoints gta_drive-tiny mine/ --seeds 0..3
    """
    from mgdemo import __version__
    from mgdemo.compare.catalog import cases, seeds_of, variant
    from mgdemo.compare.plan import grid, summary
    from mgdemo.compare.report import write_report
    from mgdemo.compare.store import RunStore
    from mgdemo.compare.table import as_text, cells
    from mgdemo.devices import kind_of

    checkpoints = args.checkpoints or _embedded()
    columns = [variant(name, words) for name in checkpoints for words in args.optimization]
    rows = cases(args.scenarios, seeds=seeds_of(args.seeds), images=args.images)
    kind = kind_of(args.device)
    planned = grid(rows, columns, version=__version__, device=kind, by=args.by)
    store = RunStore(args.out / "runs")
    print(summary(planned, store.speeds()), file=sys.stderr)
    if args.dry_run:
        return 0
    outcomes = _made(planned, store, args.device, kind, args.out)
    table = cells(planned, outcomes)
    title = args.title or " against ".join(dict.fromkeys(column.title for column in columns))
    path = write_report(args.out, planned, table, title=title, device=kind, inside=not args.videos_beside)
    print(as_text(planned, table))
    print(f"\n{path}")
    return int(any(outcome.stored is None for outcome in outcomes))


def _embedded() -> list[str]:
    from mgdemo.checkpoints import catalogue

    return [entry.name for entry in catalogue() if entry.embedded]


def _made(planned: Grid, store: RunStore, device: str, kind: str, out: Path) -> list[Outcome]:
    """All runs; those of one optimization share a service."""
    from mgdemo.serving import SessionService, Settings

    found: dict[str, Outcome] = {}
    folder = out / ".sessions"
    for words in dict.fromkeys(column.optimization for column in planned.columns):
        settings = replace(
            Settings.from_env(), sessions=1, device=device, optimization=words, record_dir=folder
        )
        service = SessionService(settings)
        try:
            for outcome in asyncio.run(_outcomes(service, store, kind, _part(planned, words))):
                found[outcome.run.key] = outcome
        finally:
            service.close()
            shutil.rmtree(folder, ignore_errors=True)
            status("")
    return list(found.values())


def _part(planned: Grid, words: str) -> Grid:
    """The columns of one optimization."""
    return replace(
        planned,
        columns=tuple(column for column in planned.columns if column.optimization == words),
        runs=tuple(tuple(run for run in row if run.variant.optimization == words) for row in planned.runs),
    )


async def _outcomes(service: SessionService, store: RunStore, kind: str, planned: Grid) -> Sequence[Outcome]:
    from mgdemo.compare.run import Runner

    made: list[Outcome] = []
    total = len(planned.all)

    def progress(run: Run, share: float, text: str) -> None:
        status(f"{len(made) + 1} of {total}, {run.variant.title}: {share:4.0%} {text}")

    async for outcome in Runner(service, store, device=kind).outcomes(planned, progress):
        made.append(outcome)
    return made
