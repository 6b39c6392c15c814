"""From a weight file into a network."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf, isfinite, prod
from pathlib import Path

import torch
from torch import Tensor, nn

from mgdemo.checkpoints import CheckpointError
from mgdemo.weight_files.recognize import differences, inspect, within
from mgdemo.weight_files.tables import AGAIN, read_table, some

EMPTY = 0.05  # share of the numbers that may lie in matrices of zeros, as in parts that were never trained

log = logging.getLogger(__name__)


def load_weights(
    module: nn.Module,
    path: str | Path,
    part: str,
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[float, str], None] | None = None,
) -> None:
    """Fill `module`, which was built on the meta device, with the weights of a file.

    part: which network of a checkpoint it is; what else the image encoder's file holds is left alone.
    dtype: the type to convert to; None keeps the file's.
    progress: called with the share done (0 to 1) and what is being loaded.
    One tensor at a time goes from the mapped file to the device: no second copy of the model is ever held.
    Raises CheckpointError, saying how the file differs and what it is instead, or that it is damaged.
    """
    path = Path(path)
    table = read_table(path)
    found, _ = within(table, part)
    if problems := differences(found, module.state_dict()):
        (report,) = inspect(path)
        article = {"ok": "the ", "other": ""}.get(report.state)
        instead = "" if article is None else f" It is {article}{report.text}."
        raise CheckpointError(f"{path} does not fit: {'; '.join(problems)}.{instead}")
    if table.note:
        log.warning("%s: %s is used.", path, table.note)
    sizes = {name: prod(t.shape) * getattr(torch, t.dtype).itemsize for name, t in found.items()}
    total, done = sum(sizes.values()), 0
    unit, times = ("GB", 1e9) if total > 1e9 else ("MB", 1e6)
    loaded, largest = {}, {}
    for name, stored in found.items():
        loaded[name] = tensor = stored.read().to(device=device, dtype=dtype, copy=True)
        largest[name] = torch.linalg.vector_norm(tensor, inf)  # read once at the end: a GPU need not wait
        done += sizes[name]
        if progress:
            progress(done / total, f"Reading {path.name}, {done / times:.1f} of {total / times:.1f} {unit}")
    _refuse_damage(path, loaded, dict(zip(largest, torch.stack([*largest.values()]).tolist(), strict=True)))
    module.load_state_dict(loaded, assign=True)


def _refuse_damage(path: Path, loaded: dict[str, Tensor], largest: dict[str, float]) -> None:
    """Weights that cannot give a picture, by the largest absolute number of each tensor."""
    broken = [name for name, number in largest.items() if not isfinite(number)]
    empty = [name for name, number in largest.items() if number == 0 and loaded[name].dim() > 1]
    share = sum(loaded[name].numel() for name in empty) / sum(t.numel() for t in loaded.values())
    problem = f"{len(broken)} tensors hold NaN or infinity ({some(broken)})" if broken else ""
    if not broken and share > EMPTY:
        problem = f"{len(empty)} matrices hold nothing but zeros ({some(empty)})"
    if problem:
        raise CheckpointError(
            f"{path} is damaged: {problem}. {AGAIN.capitalize()}; "
            f"`python -m mgdemo check --deep {path}` tells more."
        )
