"""The commands about scenario files: mgdemo scenario COMMAND."""

from __future__ import annotations

import argparse


def flatten(args: argparse.Namespace) -> None:
    """Write a scenario as plain steps, without include, repeat, mirror and random. It plays the same frames
    and needs no other file. Your file stays as it is; comments are not copied.

      python -m mgdemo scenario flatten long.yaml --out short.yaml
      python -m mgdemo scenario flatten outputs/demo.mp4
    """
    from mgdemo.replay import open_replay
    from mgdemo.scenario import scenario_yaml

    found = open_replay(args.file).scenario
    text = scenario_yaml(
        found.track,
        title=found.title,
        description=found.description,
        image=found.image,
        seed=found.seed,
        marks=found.marks,
    )
    if args.out is None:
        print(text, end="")
    else:
        args.out.write_text(text, encoding="utf-8")
