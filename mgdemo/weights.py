"""Weight files: what they are, what is wrong with them, and how they get into a model.

A file is read as its table of contents first; the numbers are memory-mapped one tensor at a time, so that
neither checking nor loading ever holds a second copy of a model.
"""

from __future__ import annotations

import json
import mmap
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf, prod
from pathlib import Path

import torch
from torch import Tensor, nn

from mgdemo.checkpoints import PARTS, CheckpointError, configs
from mgdemo.config import CheckpointConfig

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
USABLE = (torch.float32, torch.float16, torch.bfloat16)
PREFIX = {"transformer": "model.", "vae": "", "image_encoder": "visual."}  # of the names in the public files
WORDS = {"transformer": "transformer", "vae": "VAE", "image_encoder": "CLIP image encoder"}
AGAIN = "fetch it again with `python -m mgdemo download`"
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
SAFETENSORS_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Stored:
    """A tensor in a file; `read()` maps it into memory, on the CPU, until the result is dropped."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    read: Callable[[], Tensor]


@dataclass(frozen=True)
class Report:
    """What one file is.

    `state`: "ok", "wrong" (damaged, or nearly one of the catalogue's) or "other" (a stranger).
    """

    path: Path
    state: str
    text: str
    part: str | None = None
    checkpoints: tuple[str, ...] = ()


def read_table(path: str | Path) -> dict[str, Stored]:
    """The tensors of a safetensors or PyTorch file by name.

    Raises CheckpointError where the file is damaged, incomplete, or holds anything but tensors.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(256)
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    text = head.lstrip().lower()
    if not size:
        raise CheckpointError(f"{path} is empty; {AGAIN}.")
    if text.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"{path} is a Git LFS pointer, not the weights; {AGAIN}.")
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise CheckpointError(f"{path} is a web page that was saved in place of the weights; {AGAIN}.")
    if head[8:9] == b"{":
        return _safetensors_table(path, size)
    if head.startswith((ZIP, PICKLE)):
        return _pytorch_table(path, zipped=head.startswith(ZIP))
    raise CheckpointError(f"{path} is neither a safetensors nor a PyTorch file; {AGAIN}.")


def _safetensors_table(path: Path, size: int) -> dict[str, Stored]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if 8 + length > size:
            raise CheckpointError(f"{path} is cut off within its header, at {size:,} bytes; {AGAIN}.")
        try:
            header = json.loads(file.read(length))
            header.pop("__metadata__", None)
            entries = [(n, e["dtype"], tuple(e["shape"]), *e["data_offsets"]) for n, e in header.items()]
            end = 8 + length + max((stop for *_, stop in entries), default=0)
            sound = all(
                0 <= start <= stop and all(isinstance(side, int) and side >= 0 for side in shape)
                for _, _, shape, start, stop in entries
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} has a damaged header; {AGAIN}.") from error
    if size != end:
        short = f"is cut off: {size:,} of {end:,} bytes are there"
        long = f"is {size - end:,} bytes longer than its header says"
        raise CheckpointError(f"{path} {short if size < end else long}; {AGAIN}.")
    table = {}
    for name, kind, shape, start, stop in entries:
        dtype = SAFETENSORS_TYPES.get(kind)
        if dtype is None:
            raise CheckpointError(f"{path} stores {name} as {kind}, which cannot be read; {AGAIN}.")
        if not sound or stop - start != prod(shape) * dtype.itemsize:
            raise CheckpointError(f"{path} has a damaged header (at {name}); {AGAIN}.")
        table[name] = Stored(dtype, shape, _mapper(path, 8 + length + start, dtype, shape))
    return table


def _mapper(path: Path, start: int, dtype: torch.dtype, shape: tuple[int, ...]) -> Callable[[], Tensor]:
    """A mapping for each tensor: its pages leave memory together with it."""

    def read() -> Tensor:
        if not (count := prod(shape)):
            return torch.empty(shape, dtype=dtype)
        page = start % mmap.ALLOCATIONGRANULARITY
        with path.open("rb") as file:
            length = page + count * dtype.itemsize
            pages = mmap.mmap(file.fileno(), length, access=mmap.ACCESS_COPY, offset=start - page)
        return torch.frombuffer(pages, dtype=dtype, count=count, offset=page).view(shape)

    return read


def _pytorch_table(path: Path, *, zipped: bool) -> dict[str, Stored]:
    if zipped and not zipfile.is_zipfile(path):
        raise CheckpointError(f"{path} is cut off, at {path.stat().st_size:,} bytes; {AGAIN}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        what = f"Python objects ({found[1]})" if found else "something other than tensors"
        raise CheckpointError(
            f"{path} holds {what}, and loading them could run any code: it was not loaded; "
            "get the weights as safetensors."
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged or not a PyTorch weight file; {AGAIN}.") from error
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not tensors by name; {AGAIN}.")
    if others := [name for name, value in content.items() if not isinstance(value, Tensor)]:
        raise CheckpointError(
            f"{path} holds more than tensors ({_some(map(str, others))}), as a training state does; "
            "save the model's state dict by itself."
        )
    return {str(n): Stored(t.dtype, tuple(t.shape), lambda t=t: t) for n, t in content.items()}


def _strip(table: Mapping[str, Stored], prefix: str) -> tuple[dict[str, Stored], list[str]]:
    """The tensors under `prefix`, without it, and the other names; all tensors where none has the prefix."""
    inside = {name.removeprefix(prefix): t for name, t in table.items() if name.startswith(prefix)}
    if not inside:
        return dict(table), []
    return inside, [name for name in table if not name.startswith(prefix)]


def _differences(found: Mapping[str, Stored], wanted: Mapping[str, Tensor]) -> list[str]:
    """In words, what keeps the tensors `found` from being the ones `wanted`; nothing if they are."""
    problems = []
    if missing := [name for name in wanted if name not in found]:
        problems.append(f"{len(missing)} of {len(wanted)} tensors missing ({_some(missing)})")
    if extra := [name for name in found if name not in wanted]:
        problems.append(f"{len(extra)} unknown ({_some(extra)})")
    shapes = [
        f"{name}: {list(found[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in found and found[name].shape != tensor.shape
    ]
    if shapes:
        problems.append(f"{len(shapes)} of another shape ({_some(shapes, 2)})")
    if types := [f"{name}: {_name(t.dtype)}" for name, t in found.items() if t.dtype not in USABLE]:
        problems.append(f"{len(types)} not float32, float16 or bfloat16 ({_some(types, 2)})")
    return problems


def _some(names: Iterable[str], count: int = 3) -> str:
    names = list(names)
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def expected(part: str, config: CheckpointConfig) -> dict[str, Tensor]:
    """The state dict, on the meta device, of a checkpoint's "transformer", "vae" or "image_encoder".

    The names in the public files have `PREFIX[part]` in front.
    """
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


def inspect(path: str | Path) -> list[Report]:
    """Say what a weight file, or each one in a folder, is. Opens only tables of contents; never raises."""
    path = Path(path)
    if not path.is_dir():
        return [_judge(path)]
    files = sorted(p for p in path.rglob("*") if p.suffix in SUFFIXES and not _hidden(p.relative_to(path)))
    return [_judge(p) for p in files] or [Report(path, "wrong", "a folder without weight files")]


def _hidden(path: Path) -> bool:
    return any(name.startswith(".") for name in path.parts)


def _judge(path: Path) -> Report:
    try:
        table = read_table(path)
    except CheckpointError as error:
        return Report(path, "wrong", str(error).removeprefix(f"{path} "))
    if stranger := _known_stranger(table):
        return Report(path, "other", stranger)
    nearest, nearness = None, (False, -inf)
    for part in PARTS:
        found, outside = _strip(table, PREFIX[part])
        for config in configs():
            wanted = expected(part, config)
            problems = _differences(found, wanted)
            if outside and part != "image_encoder":  # that one shares its file with a text encoder
                problems.append(f"{len(outside)} unknown ({_some(outside)})")
            if not problems:
                return _recognised(path, part, found)
            if 2 * len(found.keys() & wanted.keys()) <= len(found):
                continue
            likeness = (_keyboard(found) == _keyboard(wanted), _likeness(found, wanted))
            if likeness > nearness:
                nearest, nearness = (part, config, problems), likeness
    if nearest is None:
        text = f"not a file of these checkpoints: {len(table)} tensors ({_some(table)})"
        return Report(path, "other", text)
    part, config, problems = nearest
    return Report(path, "wrong", f"looks like the {_label(part, [config])}, but: {'; '.join(problems)}", part)


def _likeness(found: Mapping[str, Stored], wanted: Mapping[str, Tensor]) -> int:
    """The number of equal sides of tensors with equal names, less the names that only one of them has."""
    shared = found.keys() & wanted.keys()
    sides = sum(a == b for n in shared for a, b in zip(found[n].shape, wanted[n].shape, strict=False))
    return sides - len(found.keys() ^ wanted.keys())


def _keyboard(tensors: Mapping[str, Stored | Tensor]) -> tuple[int, ...]:
    """The width of a transformer's keyboard vector, which tells its mode."""
    return next((t.shape[-1:] for n, t in tensors.items() if n.endswith("keyboard_embed.0.weight")), ())


def _recognised(path: Path, part: str, found: Mapping[str, Stored]) -> Report:
    fits = [config for config in configs() if not _differences(found, expected(part, config))]
    names = tuple(config.name for config in fits)
    count = sum(prod(t.shape) for t in found.values())
    types = " and ".join(sorted({_name(t.dtype) for t in found.values()}))
    text = f"{_label(part, fits)}: {count:,} parameters, {types}, fits {', '.join(names)}"
    return Report(path, "ok", text, part, names)


def _label(part: str, fits: list[CheckpointConfig]) -> str:
    modes = " or ".join(dict.fromkeys(c.mode for c in fits))
    return f"{WORDS[part]} for mode {modes}" if part == "transformer" else WORDS[part]


def _known_stranger(table: Mapping[str, Stored]) -> str | None:
    """Files that people try, with what to do instead."""
    names = set(table)
    if any(".attn1.to_q." in name for name in names) or "encoder.conv_in.weight" in names:
        return "a model in diffusers' naming: get the original file of Skywork/Matrix-Game-2.0"
    attends = any(name.endswith("blocks.0.self_attn.q.weight") for name in names)
    if attends and not any("action_model" in name for name in names):
        return (
            "a Wan transformer without action modules, so no key would steer it: get one of the distilled "
            "transformers of Skywork/Matrix-Game-2.0"
        )
    return None


def load_weights(
    module: nn.Module,
    path: str | Path,
    *,
    prefix: str = "",
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[float, str], None] | None = None,
) -> None:
    """Fill `module`, which was built on the meta device, with the weights of a file.

    prefix: what the file's names have in front of the module's (`PREFIX[part]`). Tensors without it are left
        alone, unless none has it.
    dtype: the type to convert to; None keeps the file's.
    progress: called with the share done (0 to 1) and what is being loaded.
    One tensor at a time goes from the mapped file to the device: no second copy of the model is ever held.
    Raises CheckpointError, saying how the file differs and what it is instead.
    """
    path = Path(path)
    found, _ = _strip(read_table(path), prefix)
    if problems := _differences(found, module.state_dict()):
        report = _judge(path)
        instead = f" It is the {report.text}." if report.state == "ok" else ""
        raise CheckpointError(f"{path} does not fit: {'; '.join(problems)}.{instead}")
    total = sum(prod(t.shape) * t.dtype.itemsize for t in found.values())
    unit, times = ("GB", 1e9) if total > 1e9 else ("MB", 1e6)
    loaded, done = {}, 0
    for name, stored in found.items():
        loaded[name] = stored.read().to(device=device, dtype=dtype or stored.dtype, copy=True)
        done += prod(stored.shape) * stored.dtype.itemsize
        if progress:
            progress(done / total, f"Reading {path.name}, {done / times:.1f} of {total / times:.1f} {unit}")
    module.load_state_dict(loaded, assign=True)
