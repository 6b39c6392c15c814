"""Parity with the reference: `python -m devtools.parity DIR` checks every golden file in a folder.

A golden folder holds safetensors files with inputs and outputs of the reference, tiny weights to compute them
with, and `index.json`, which gives each file's `kind`, how it was made and how close an answer must come. All
sizes come from the folder. A tensor that nothing reads counts as not understood, so nothing passes unseen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch

from devtools.parity.folder import Case, Folder, NotUnderstood, Row, some
from devtools.parity.kinds import KINDS, check_json
from mgdemo.config import ConfigError, Optimization

__all__ = ["NotUnderstood", "Row", "check", "main"]


def check(
    folder: str | Path, *, device: str = "cpu", dtype: str = "float32", optimization: str | None = None
) -> Iterator[Row]:
    """Check every file of a golden folder; yields each file's rows when it is done.

    device: where the nets run. dtype: "float32" holds every tensor to its tolerance; "bfloat16" runs only the
        plays, in bfloat16, and holds the relative RMS of their latents to `RELATIVE_RMS`. optimization: run
        only the plays, optimized as `Optimization.parse` says.
    Raises NotUnderstood without a readable index.json.
    """
    place = Folder(
        Path(folder), device, dtype, None if optimization is None else Optimization.parse(optimization)
    )
    for name in _files(place):
        kind = place.index.get(name, {}).get("kind")
        if (place.low_precision or place.optimization) and kind not in ("pipeline", "streaming"):
            continue
        rows: dict[str, Row] = {}
        try:
            case = Case(place, name)
            rows = case.rows
            if name.endswith(".json"):
                check_json(case)
            elif kind in KINDS:
                KINDS[kind](case)
            else:
                raise NotUnderstood(f"its kind, {kind!r}, is not known")
            if case.unread and not place.low_precision:
                raise NotUnderstood(f"nothing checks its {some(case.unread)}")
        except NotUnderstood as error:
            rows["file"] = _unchecked(name, str(error))
        except Exception as error:  # whatever is wrong with one file, its row says so and the next is checked
            rows["file"] = _unchecked(name, f"{type(error).__name__}: {error}")
        yield from rows.values()


def _files(place: Folder) -> list[str]:
    """The files to check: those of the index in its order, then all others but pictures and prose."""
    there = sorted(p.relative_to(place.path).as_posix() for p in place.path.rglob("*") if p.is_file())
    others = [n for n in there if n not in (*place.index, *place.pictures, "index.json")]
    prose = [n for n in others if n.endswith(".md") or Path(n).name.startswith(".")]
    return [n for n in place.index if n in there] + [n for n in others if n not in prose]


def _unchecked(name: str, reason: str) -> Row:
    note = " ".join(reason.split())[:300]
    return Row(f"{name} (file)", error=math.inf, relative=math.inf, tolerance="", ok=False, note=note)


@torch.inference_mode()
def main(
    folder: str | Path,
    *,
    device: str = "cpu",
    dtype: str = "float32",
    optimization: str | None = None,
    json_file: str | Path | None = None,
) -> int:
    """Print one row a case and "N passed, M failed"; 0 if all passed, else 1. For the arguments see `check`.

    json_file: where to write the rows as JSON, too.
    """
    try:
        # No TF32: float32 means float32.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            rows = list(check(folder, device=device, dtype=dtype, optimization=optimization))
    except (NotUnderstood, ConfigError) as error:
        print(error)
        return 1
    table = [("case", "tensors", "max abs error", "relative RMS", "tolerance", "ok")]
    for row in rows:
        figures = (str(row.tensors), f"{row.error:.2e}", f"{row.relative:.2e}", row.tolerance)
        table.append((row.case, *figures, "yes" if row.ok else f"NO: {row.note}"))
    widths = [max(map(len, column)) for column in zip(*table, strict=True)][:-1]
    for name, *figures, ok in table:
        aligned = [figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True)]
        print(name.ljust(widths[0]), *aligned, ok, sep="  ")
    failed = sum(not row.ok for row in rows)
    print(f"{len(rows) - failed} passed, {failed} failed")
    if json_file:
        Path(json_file).write_text(json.dumps([_plain(row) for row in rows], indent=1))
    return 1 if failed or not rows else 0


def _plain(row: Row) -> dict:
    """A row as JSON has it, which knows no infinity."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(row).items()}
