"""The commands about Spaces: mgdemo space COMMAND."""

from __future__ import annotations

import argparse


def push(args: argparse.Namespace) -> None:
    """Make a Space of this program on the Hugging Face Hub, or bring it up to date. Log in first, with
    `hf auth login`. Sent are the program, its worlds and scenarios; not tests, recordings and weights.

      python -m mgdemo space push ann/worlds --dry-run
    """
    from mgdemo import space
    from mgdemo.paths import ROOT

    if args.dry_run:
        found = space.files()
        for file in found:
            print(f"{(ROOT / file).stat().st_size:>12,}  {file.as_posix()}")
        total = sum((ROOT / file).stat().st_size for file in found)
        print(f"{len(found)} files, {total / 1e6:.0f} MB, would go to {args.name}.")
        return
    print(f"It is at {space.push(args.name, private=args.private, hardware=args.hardware)}.")
