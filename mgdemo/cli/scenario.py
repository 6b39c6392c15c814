"""The commands about scenario files: mgdemo scenario COMMAND."""

from __future__ import annotations

import argparse
import sys

from mgdemo.errors import UserError


def flatten(args: argparse.Namespace) -> None:
    """Write a scenario as plain steps, without include, repeat, mirror and random. It plays the same frames
    and needs no other file. Your file stays as it is; comments are not copied.

      python -m mgdemo scenario flatten long.yaml --out short.yaml
      python -m mgdemo scenario flatten outputs/demo.mp4
    """
    from mgdemo.replay import open_replay
    from mgdemo.scenario import bare_yaml

    found = open_replay(args.file).scenario
    text = bare_yaml(found)
    if args.out and args.out.exists() and args.out.samefile(args.file):
        raise UserError(f"{args.out} would lose its comments: choose another file with --out.")
    if args.out is None:
        print(text, end="")
    else:
        args.out.write_text(text, encoding="utf-8")


def import_(args: argparse.Namespace) -> int:
    """Make a scenario of each WBench case, with its start image beside it: turns of 4 s, a mark where each
    begins. What is no navigation becomes a turn in which nothing is held, and you are told. Exit code 1 if
    a case cannot be used; the others are made. The whole way (docs/wbench.md):

      python -m mgdemo scenario import WBench/data/cases --data WBench/data --out wbench
      python -m mgdemo compare 'wbench/*.yaml' --checkpoints universal --out comparison
      python -m mgdemo scenario export comparison --name matrix-game-2 --out results
    """
    from mgdemo.wbench.cases import read_case
    from mgdemo.wbench.scenarios import write_scenario

    found = [sorted(path.glob("*.json")) if path.is_dir() else [path] for path in args.cases]
    files = [file for several in found for file in several]
    if not files:
        raise UserError("There is no .json file in that folder: give the folder of the cases.")
    failed = 0
    for file in files:
        try:
            case = read_case(file, args.data)
            path = write_scenario(case, args.out)
        except (UserError, OSError) as error:
            reason = f"{file} cannot be used: {error.strerror}." if isinstance(error, OSError) else str(error)
            print(f"mgdemo: {reason}", file=sys.stderr)
            failed += 1
            continue
        idle = sum(turn.action is not None for turn in case.turns)
        told = f"{len(case.turns)} turns" + (", there and back" if case.loops else "")
        if idle:
            told += f"; {idle} no navigation, so nothing is held"
        print(f"{path}: {told}")
    print(f"{len(files) - failed} of {len(files)} cases are scenarios now.")
    return 1 if failed else 0


def export(args: argparse.Namespace) -> None:
    """Make the folder that WBench's evaluation reads: videos, meta.json and turns.json. FILM is what compare
    or replay has made of imported cases; other films in folders are left out.

      python -m mgdemo scenario export comparison --checkpoint universal --name matrix-game-2 --out results
      python -m mgdemo scenario export outputs/demo.mp4 --name matrix-game-2 --org "The authors"
    """
    from mgdemo.wbench.results import find_clips, write_results

    clips = find_clips(args.films, args.checkpoint)
    shown = args.display_name or args.name
    about = {"model_name": args.name, "display_name": shown, "org": args.org, "contact": args.contact}
    write_results(clips, args.out, about)
    print(f"{len(clips)} case{'s' * (len(clips) != 1)} in {args.out}")
