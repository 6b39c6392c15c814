"""Grids as the lockstep player gets them, by hand."""

from mgdemo.actions import MODES
from mgdemo.pads import mode_json
from tests.support import numbered_film

FRAMES = 150


def cell_view(key, video, frames=FRAMES, **other):
    return {
        "key": key, "phase": "finished" if video else "waiting", "share": 1.0 if video else 0.0, "fps": None,
        "seconds_left": None, "words": "", "error": "", "picture": "", "title": f"World {key}",
        "mode": "universal", "image": "meadow", "seed": 0, "frames": frames, "width": numbered_film.WIDTH,
        "height": numbered_film.HEIGHT, "video": video,
        "lanes": [{"control": "forward", "label": "W", "hint": "Forward", "lost": False, "spans": [[0, 60]]}],
        "curves": [], "wrong": [], "moments": [], "scores": [], "controls": [],
    } | other  # fmt: skip


def grid_view(*rows, marks=()):
    return {
        "version": 1,
        "id": "abc",
        "title": "Six",
        "fps": 25,
        "columns": [cell["title"] for cell in rows[0]],
        "modes": {name: mode_json(mode) for name, mode in MODES.items()},
        "rows": [
            {
                "title": f"Row {i}",
                "seed": 0,
                "frames": max(cell["frames"] for cell in row),
                "marks": [{"name": name, "frame": frame} for name, frame in marks],
                "cells": list(row),
            }
            for i, row in enumerate(rows)
        ],
    }
