"""The command: see `benchmarks.gpu`."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks import gpu as package
from benchmarks import reference
from benchmarks.gpu import machine, precision, sessions, speed, where
from benchmarks.gpu.bench import Bench
from mgdemo.loading import use_expandable_segments

MODES = ["universal", "gta_drive", "templerun"]
# Each gives its figures in JSON types, in this order.
PARTS: dict[str, Callable[[Bench], dict]] = {
    "environment": machine.environment,
    "speed": speed.speed,
    "sessions": sessions.sessions,
    "endurance": speed.endurance,
    "precision": precision.precision,
    "roofline": where.roofline,
    "reference": speed.reference,
    "profile": where.profile,
}
ASKED = ["reference", "profile"]  # by options of their own
FIRST, OTHERS = ["environment", "speed", "sessions", "roofline"], ["speed", "roofline"]


def show(title: str, found: dict) -> None:
    """Print figures a line each, and lists of rows (dicts of the same keys) as tables of at most 16."""

    def text(cell: object) -> str:
        return f"{cell:.4g}" if isinstance(cell, float) else "-" if cell is None else str(cell)

    print(f"\n{title}")
    for name, value in found.items():
        if isinstance(value, list) and value:
            lines = [list(value[0]), *(list(map(text, row.values())) for row in value[:16])]
            widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
            for line in lines:
                print("   ", *(cell.rjust(width + 1) for cell, width in zip(line, widths, strict=True)))
        else:
            print(f"  {name:22}", text(value))
    sys.stdout.flush()


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--modes", "--checkpoint", nargs="+", default=MODES, metavar="NAME")
    parser.add_argument("--parts", nargs="+", choices=[part for part in PARTS if part not in ASKED])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--blocks", type=int, default=60, help="measured for a figure (default 60)")
    parser.add_argument("--blocks-long", type=int, default=2000, help="of endurance (default 2000)")
    parser.add_argument("--sessions", type=int, nargs="+", default=[1, 2, 4, 8], metavar="N")
    parser.add_argument(
        "--fraction", type=float, metavar="GB", help="of the GPU's memory, all that PyTorch gets"
    )
    parser.add_argument("--load", action="store_true", help="the checkpoint's weights, not random ones")
    parser.add_argument(
        "--reference", type=reference.checkout, metavar="DIR", help="a checkout of the public program"
    )
    parser.add_argument("--reference-eager", action="store_true", help="without compiling its decoder")
    parser.add_argument("--profile", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--append", action="store_true", help="keep what the files hold")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """The number of parts that failed, or of modes where there are several."""
    args = parse(argv)
    for path in (args.json, args.profile):
        if path and not args.append:
            path.unlink(missing_ok=True)
    if len(args.modes) > 1:
        failed = 0
        for name in args.modes:
            parts = args.parts or (FIRST if name == args.modes[0] else OTHERS)
            own = [*argv, "--append", "--modes", name, "--parts", *parts]
            failed += subprocess.run([sys.executable, "-m", "benchmarks.gpu", *own]).returncode != 0
        return failed
    if args.device != "cpu":
        use_expandable_segments()  # before the GPU is first used
    if args.fraction:
        total = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction(args.fraction * 1e9 / total)
    report = json.loads(args.json.read_text()) if args.json and args.json.exists() else {"runs": {}}
    bench, failed = Bench(args.modes[0], args, report), 0
    parts = {*(args.parts or FIRST), *(part for part in ASKED if getattr(args, part))}
    for part in [part for part in PARTS if part in parts]:
        begin = time.perf_counter()
        try:
            found = PARTS[part](bench)
        except Exception as error:  # the other parts may do
            traceback.print_exc()
            found, failed = {"error": f"{type(error).__name__}: {error}"}, failed + 1
        show(f"{bench.name}: {part} ({time.perf_counter() - begin:.0f} s)", found)
        (report if part == "environment" else report["runs"].setdefault(bench.name, {}))[part] = found
        if args.json:
            unfinished = args.json.with_suffix(".part")
            unfinished.write_text(json.dumps(report, indent=1) + "\n")
            unfinished.replace(args.json)
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
