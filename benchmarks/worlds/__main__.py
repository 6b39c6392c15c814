"""The command: see `benchmarks.worlds`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from benchmarks import worlds as package
from benchmarks.runs import Starts, command, embedded, looks
from benchmarks.worlds import bars, reader, teach
from benchmarks.worlds.look import look

PARTS = ("still", "walk", "keys")


def said(row: dict) -> str:
    """One row of the printed table."""
    asked = [
        f"{sign} {row[name]:.4g}" for name, sign in (("least", ">="), ("most", "<=")) if row[name] is not None
    ]
    if row["least_low"] is not None:
        asked.append(f"from {row['least_low']:.4g}")
    verdict = {True: "holds", False: "FAILS", None: ""}[row["holds"]]
    interval = f"{row['low']:.3g} to {row['high']:.3g}"
    return f"{row['bar']:34}{row['value']:9.3g}  {interval:18}{', '.join(asked):20}{verdict}"


def main() -> None:
    parser = command("worlds", package.__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="length of walks and stands (default 60)")
    parser.add_argument("--only", nargs="+", default=list(PARTS), choices=PARTS, help="parts to look at")
    parser.add_argument("--base", type=Path, metavar="FILE", help="an earlier --json file, of as many starts")
    args = parser.parse_args()
    if args.seconds < 11:
        parser.error("--seconds must be at least 11, since sharpness is measured at 10 s")
    base = json.loads(args.base.read_text()) if args.base else {}
    if "walk" in args.only and not reader.WEIGHTS.exists():
        print("Teaching the scene reader first: some minutes, once.", flush=True)
        teach.make()
    which = reader.version() if "walk" in args.only else None
    if which and any(of["reader"] != which for of in base.values()):
        parser.error(f"{args.base} comes of another scene reader: distances cannot be compared")
    results = {}
    for mode in args.modes:
        checkpoint = None if args.truth else args.checkpoint or embedded(mode)
        if not (args.truth or checkpoint):
            print(f"{mode}: no embedded world ships yet, so it is left out")
            continue
        vae_device = "cpu" if args.workers and args.device == "auto" else args.device
        given = {"parts": args.only, "seconds": args.seconds}
        given["vae"] = (checkpoint, vae_device) if checkpoint else None
        found = []
        for each in looks(partial(look, **given), mode, args.starts, checkpoint, args.device, args.workers):
            found.append(each)
            print(f"start {len(found)} of {args.starts}", flush=True)
        starts = Starts.draw(mode, args.starts)
        earlier = {row["bar"]: row["value"] for row in base.get(mode, {}).get("bars", ())}
        table = bars.table(starts, args.only, args.seconds, earlier)
        rows = [row for bar in table if (row := bar.judge(found)) is not None]
        results[mode] = {
            "starts": args.starts,
            "seconds": args.seconds,
            "of": checkpoint or "truth",
            "reader": which,
            "holds": all(row["holds"] is not False for row in rows),
            "bars": rows,
        }
        print(f"{mode} ({checkpoint or 'truth'}, {args.starts} unseen starts)")
        print("\n".join(map(said, rows)), flush=True)
        if args.json:
            args.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
