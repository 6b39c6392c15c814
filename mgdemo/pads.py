"""A mode as the page's scripts need it, to draw its pads and to read its keys."""

from __future__ import annotations

from mgdemo.actions import Mode

SHOWN = ("name", "code", "aliases", "label", "hint", "group", "row", "column")  # of a control


def mode_json(mode: Mode) -> dict:
    """In plain JSON types."""
    return {
        "name": mode.name,
        "title": mode.title,
        "axes": list(mode.axes),
        "stands": mode.stands,
        "controls": [
            {key: list(v) if isinstance(v := getattr(control, key), tuple) else v for key in SHOWN}
            for control in mode.controls
        ],
    }
