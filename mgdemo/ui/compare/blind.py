"""What a page may know of two films before it has voted on them."""

from __future__ import annotations

from mgdemo.compare.ballots import Ballot
from mgdemo.compare.jobs import CellState
from mgdemo.compare.plan import Grid, Run, Variant
from mgdemo.compare.translate import Translation
from mgdemo.compare.view import GridView, grid_view

SIDES = ("left", "right")


def blind_view(ballot: Ballot, folder: str) -> GridView:
    """The films of a ballot side by side, as of a grid whose columns are called Left and Right.

    folder: the address at which the films are left.mp4 and right.mp4. Nothing of the runs is in it but the
    sizes of their pictures: the actions are those of the scenario, as it is written.
    """
    runs = tuple(_nameless(run, side) for run, side in zip((ballot.left, ballot.right), SIDES, strict=True))
    grid = Grid((ballot.case,), tuple(run.variant for run in runs), (runs,))
    view = grid_view(grid, [CellState(side, "finished", 1.0) for side in SIDES], lambda _: "")
    for cell, side in zip(view["rows"][0]["cells"], SIDES, strict=True):
        cell["video"], cell["image"] = f"{folder}/{side}.mp4", ""
    view["id"] = ballot.token
    return view


def _nameless(run: Run, side: str) -> Run:
    case = run.case
    variant = Variant(side, case.track.mode, run.variant.size, "", False, title=side.capitalize())
    return Run(case, variant, case.start, case.seed, Translation(case.track), side)
