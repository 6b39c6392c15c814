"""The command that compares checkpoints."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from mgdemo.cli.terminal import frames_bar, status

if TYPE_CHECKING:
    from mgdemo.compare.device import Device
    from mgdemo.compare.jobs import Job
    from mgdemo.compare.plan import Grid
    from mgdemo.compare.run import Outcome
    from mgdemo.compare.store import RunStore
    from mgdemo.settings import Settings


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
    from mgdemo.compare.device import look
    from mgdemo.compare.plan import grid
    from mgdemo.compare.report import write_report
    from mgdemo.compare.store import RunStore
    from mgdemo.compare.table import as_text, cells

    checkpoints = args.checkpoints or _embedded()
    columns = [variant(name, words) for name in checkpoints for words in args.optimization]
    rows = cases(args.scenarios, seeds=seeds_of(args.seeds), images=args.images)
    device = look(args.device)
    for words in args.optimization:
        device.check(words)
    kind = device.kind
    planned = grid(rows, columns, version=__version__, device=kind, by=args.by)
    store = RunStore(args.out / "runs")
    say_size(planned, store, args.device, device)
    if args.dry_run:
        return 0
    outcomes = made(planned, store, args.device, kind)
    table = cells(planned, outcomes)
    title = args.title or " against ".join(dict.fromkeys(column.title for column in columns))
    path = write_report(args.out, planned, table, title=title, device=kind, inside=not args.videos_beside)
    print(as_text(planned, table))
    print(f"\n{path}")
    return int(any(outcome.stored is None for outcome in outcomes))


def say_size(planned: Grid, store: RunStore, wanted: str, device: Device) -> None:
    """How much there is to make on the `wanted` devices, and about how long that takes."""
    from mgdemo.compare.estimate import speeds
    from mgdemo.compare.plan import summary

    settings = settings_for(wanted)
    kept = {run.key for run in planned.all if store.get(run.key)}
    status("Looking at how long it will take.")
    known = {} if len(kept) == len(planned.all) else speeds(planned, store, device, settings)
    status("")
    print(summary(planned, known, settings.sessions, kept), file=sys.stderr)


def settings_for(device: str) -> Settings:
    """Those of a service on these devices, separated by commas: one run on each."""
    from mgdemo.serving import Settings

    return replace(Settings.from_env(), sessions=len(device.split(",")), device=device)


def _embedded() -> list[str]:
    from mgdemo.checkpoints import catalog

    return [entry.name for entry in catalog() if entry.embedded]


def made(planned: Grid, store: RunStore, device: str, kind: str) -> list[Outcome]:
    """All runs of a grid, with progress for people who watch. kind: of the device."""
    from mgdemo.compare.jobs import Comparisons
    from mgdemo.serving import SessionService

    service = SessionService(settings_for(device))
    comparisons = Comparisons(service, store, device=kind)
    try:
        job = comparisons.start(planned)
        asyncio.run(_watch(job))
        return job.outcomes()
    except KeyboardInterrupt:
        status("")
        print(f"What is finished is in {store.folder}: the same command continues.", file=sys.stderr)
        raise
    finally:
        comparisons.close()
        service.close()
        status("")


async def _watch(job: Job) -> None:
    """Show a job's progress until its end."""
    with frames_bar(job.grid.frames) as bar:
        async for states in job.changes():
            pairs = list(zip(job.grid.all, states, strict=True))
            over = sum(state.over for state in states)
            words = [
                f"{run.variant.title}: {state.words}"
                for run, state in pairs
                if state.phase in ("running", "measuring")
            ]
            bar.set_description_str("; ".join([f"{over} of {len(states)} runs", *words]), refresh=False)
            bar.n = round(sum(run.frames * (state.over or state.share) for run, state in pairs))
            bar.refresh()
