"""What a weight file is: which network of which checkpoint, or how it differs from the most similar one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import inf, prod
from pathlib import Path

import torch
from torch import Tensor, nn

from mgdemo.checkpoints import PARTS, CheckpointError, configs
from mgdemo.config import CheckpointConfig
from mgdemo.weight_files.deep import examine
from mgdemo.weight_files.tables import (
    INDEX,
    SUFFIXES,
    USABLE,
    Stored,
    Table,
    read_table,
    shards,
    some,
    weight_size,
)

SMALL = 100_000_000  # bytes up to which a file is read whole anyway
PREFIX = {"transformer": "", "vae": "", "image_encoder": "visual."}  # before a network's names in its file
WORDS = {"transformer": "transformer", "vae": "VAE", "image_encoder": "CLIP image encoder"}


@dataclass(frozen=True)
class Report:
    """What one file is, or all shards of a model together.

    `state`: "ok", "wrong" (damaged, or nearly one of the catalog's) or "other" (not of this program).
    """

    path: Path
    state: str
    text: str
    part: str | None = None
    checkpoints: tuple[str, ...] = ()


def inspect(
    path: str | Path, *, deep: bool = False, progress: Callable[[Path], None] | None = None
) -> list[Report]:
    """Say what a weight file, or each one in a folder, is; never raises.

    Of large files only the tables of contents are read, unless `deep`: then all numbers are looked at, and
    files that were published are compared with their known hash. `progress` is called before each file.
    """
    path = Path(path)
    reports = []
    for file in _files(path) if path.is_dir() else [path]:
        if progress:
            progress(file)
        reports.append(_judge(file, deep))
    return reports or [Report(path, "wrong", "a folder without weight files")]


def _files(folder: Path) -> Iterator[Path]:
    """The weight files in a folder; of shards their index, or the first one that is there."""
    everything = ((path, path.relative_to(folder).parts) for path in folder.rglob("*"))
    visible = sorted(path for path, names in everything if not any(name.startswith(".") for name in names))
    known: set[Path] = set()
    for path in visible:
        if path.name.endswith(INDEX):
            with suppress(CheckpointError):
                known.update(shards(path))
            yield path
    for path in visible:
        if path.suffix in SUFFIXES and path not in known:
            known.update(shards(path))
            yield path


def _judge(path: Path, deep: bool) -> Report:
    try:
        table = read_table(path)
    except CheckpointError as error:
        return Report(path, "wrong", str(error).removeprefix(f"{path} "))
    report = _recognize(path, table)
    if report.state == "ok" and (deep or weight_size(path) <= SMALL):
        said, faults = examine(path, table)
        text = "; ".join((report.text, *(faults or [said])))
        return replace(report, state="wrong" if faults else "ok", text=text)
    return report


def _recognize(path: Path, table: Table) -> Report:
    nearest, nearness = None, (False, -inf)
    for part in PARTS:
        found, outside = within(table, part)
        for config in configs():
            wanted = expected(part, config)
            problems = differences(found, wanted)
            if outside and part != "image_encoder":  # that one shares its file with a text encoder
                problems.append(f"{len(outside)} unknown ({some(outside)})")
            if not problems:
                return _recognized(path, part, found, table.note)
            if 2 * len(found.keys() & wanted.keys()) <= len(found):
                continue
            likeness = (_keyboard(found) == _keyboard(wanted), _likeness(found, wanted))
            if likeness > nearness:
                nearest, nearness = (part, config, problems), likeness
    if known := _known_stranger(table.tensors):
        return Report(path, "other", known)
    if nearest is None:
        text = f"not a file of these checkpoints: {len(table.tensors)} tensors ({some(table.tensors)})"
        return Report(path, "other", text)
    part, config, problems = nearest
    return Report(path, "wrong", f"looks like the {_label(part, [config])}, but: {'; '.join(problems)}", part)


def within(table: Table, part: str) -> tuple[dict[str, Stored], list[str]]:
    """The tensors of a network, and the names of those beside it in its file."""
    prefix = PREFIX[part]
    inside = {name.removeprefix(prefix): t for name, t in table.tensors.items() if name.startswith(prefix)}
    if not inside:  # saved by itself
        return dict(table.tensors), []
    return inside, [name for name in table.tensors if not name.startswith(prefix)]


def differences(found: Mapping[str, Stored], wanted: Mapping[str, Tensor]) -> list[str]:
    """In words, what keeps the tensors `found` from being the ones `wanted`; nothing if they are."""
    problems = []
    if missing := [name for name in wanted if name not in found]:
        problems.append(f"{len(missing)} of {len(wanted)} tensors missing ({some(missing)})")
    if extra := [name for name in found if name not in wanted]:
        problems.append(f"{len(extra)} unknown ({some(extra)})")
    shapes = [
        f"{name}: {list(found[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if shapes:
        problems.append(f"{len(shapes)} of another shape ({some(shapes, 2)})")
    if types := [f"{name}: {t.dtype}" for name, t in found.items() if t.dtype not in USABLE]:
        problems.append(f"{len(types)} not float32, float16 or bfloat16 ({some(types, 2)})")
    return problems


def expected(part: str, config: CheckpointConfig) -> dict[str, Tensor]:
    """The state dict, on the meta device, of a checkpoint's "transformer", "vae" or "image_encoder"."""
    section = getattr(config, part)
    key = (part, repr(section))
    if key not in _expected:
        with torch.device("meta"):
            _expected[key] = _net(part)(section).state_dict()
    return _expected[key]


_expected: dict[tuple[str, str], dict[str, Tensor]] = {}


def _net(part: str) -> type[nn.Module]:
    from mgdemo.model import image_encoder, transformer, vae

    return {
        "transformer": transformer.Transformer,
        "vae": vae.VAE,
        "image_encoder": image_encoder.ImageEncoder,
    }[part]


def _likeness(found: Mapping[str, Stored], wanted: Mapping[str, Tensor]) -> int:
    """The number of equal sides of tensors with equal names, less the names that only one of them has."""
    shared = found.keys() & wanted.keys()
    sides = sum(a == b for n in shared for a, b in zip(found[n].shape, wanted[n].shape, strict=False))
    return sides - len(found.keys() ^ wanted.keys())


def _keyboard(tensors: Mapping[str, Stored | Tensor]) -> tuple[int, ...]:
    """The width of a transformer's keyboard vector, which tells its mode."""
    return next((t.shape[-1:] for n, t in tensors.items() if n.endswith("keyboard_embed.0.weight")), ())


def _recognized(path: Path, part: str, found: Mapping[str, Stored], note: str) -> Report:
    fits = [config for config in configs() if not differences(found, expected(part, config))]
    names = tuple(config.name for config in fits)
    count = sum(prod(t.shape) for t in found.values())
    types = " and ".join(sorted({t.dtype for t in found.values()}))
    text = f"{_label(part, fits)}: {count:,} parameters, {types}, fits {', '.join(names)}"
    if (files := len(shards(path))) > 1:
        text += f"; in {files} shards"
    return Report(path, "ok", f"{text}; {note} is used" if note else text, part, names)


def _label(part: str, fits: Iterable[CheckpointConfig]) -> str:
    modes = " or ".join(dict.fromkeys(c.mode for c in fits))
    return f"{WORDS[part]} for mode {modes}" if part == "transformer" else WORDS[part]


def _known_stranger(names: Iterable[str]) -> str | None:
    """Files that people try, with what to do instead."""
    names = set(names)
    if any(".attn1.to_q." in name for name in names) or "encoder.conv_in.weight" in names:
        return "a model in diffusers' naming: get the original file of Skywork/Matrix-Game-2.0"
    layers = {name.split(".")[1] for name in names if name.endswith(".self_attn.q.weight")}
    acting = {name.split(".")[1] for name in names if ".action_model." in name}
    if layers and not acting:
        return (
            "a Wan transformer without action modules, so no key would steer it: get one of the distilled "
            "transformers of Skywork/Matrix-Game-2.0"
        )
    if len(layers) > 1 and layers == acting:
        return (
            "a foundation model, with action modules in all layers (base_model of Skywork/Matrix-Game-2.0): "
            "it needs many denoising steps and is not playable here; the distilled transformers are"
        )
    return None
