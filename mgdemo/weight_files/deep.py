"""A thorough look at a weight file: its hash, if it was published, and all of its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mgdemo.checkpoints import PARTS, configs
from mgdemo.hashes import file_sha256
from mgdemo.weight_files.tables import USABLE, Stored, Table, some

RUN = 1024  # so many zeros in a row are no weights: a part of the file was never written


def examine(path: Path, table: Table) -> tuple[str, list[str]]:
    """What is to be said of a file that fits, if nothing is wrong with it; and what is wrong, in words."""
    faults = []
    if (known := published_hashes().get(path.name)) is not None:
        repo, revision, digest = known
        published = f"{repo} at {revision[:8]}"
        if file_sha256(path) == digest:
            return f"exactly the file that was published ({published})", []
        faults.append(
            f"not the file that was published under this name ({published}), by its SHA-256: it is damaged, "
            "another version, or a model of your own (then give it another name)"
        )
    return "all numbers are finite, and no part is empty", faults + damage(table.tensors)


def published_hashes() -> dict[str, tuple[str, str, str]]:
    """Repository, revision and SHA-256 of the published files by name, as far as configs/ tell."""
    return {
        Path(getattr(c.files, part)).name: (c.files.repo, c.files.revision, digest)
        for c in configs()
        for part in PARTS
        if (digest := c.files.sha256.get(part))
    }


def damage(tensors: Mapping[str, Stored]) -> list[str]:
    """In words, what no trained network has among its numbers: NaN, infinities, long runs of zeros."""
    total, nonfinite, empty = 0, {}, {}
    for name, stored in tensors.items():
        values = stored.read().flatten()
        if stored.dtype not in USABLE:
            values = values.float()  # not every operation knows every type
        total += values.numel()
        if bad := int((~torch.isfinite(values)).sum()):
            nonfinite[name] = bad
        if zeros := zeros_in_runs(values, stored.shape):
            empty[name] = zeros
    return [
        f"{len(found)} of {len(tensors)} tensors hold {what} ({some(found)}), "
        f"{sum(found.values()) / total:.1%} of all numbers: damaged or badly trained"
        for what, found in (("NaN or infinity", nonfinite), ("nothing but zeros over long stretches", empty))
        if found
    ]


def zeros_in_runs(values: Tensor, shape: tuple[int, ...]) -> int:
    """How many of a tensor's numbers are zeros in long runs, or all if it is a matrix of zeros."""
    if len(shape) < 2:  # a bias or a scale may be zero
        return 0
    if values.numel() <= RUN:
        return 0 if values.any() else values.numel()
    whole = values.numel() // RUN * RUN
    zero = ~values[:whole].view(-1, RUN).any(dim=1)
    return int(zero.sum()) * RUN + (0 if values[whole:].any() or not zero[-1] else values.numel() - whole)
