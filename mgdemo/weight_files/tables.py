"""Weight files as tables of named tensors: safetensors, PyTorch files of plain tensors, and shards of either.

A table gives names, types and shapes; numbers are memory-mapped one tensor at a time. The names are those of
the network itself: what training frameworks put in front of them or between their parts is taken away.
"""

from __future__ import annotations

import json
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mgdemo.checkpoints import CheckpointError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
INDEX = ".index.json"  # ends the name of the file that lists a model's shards
SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")
AVERAGED = ("generator_ema", "model_ema", "ema_model", "ema")  # weights averaged over training
AVERAGING = ", averaged over training,"
ENTRIES = (*AVERAGED, "generator", "state_dict", "model_state_dict", "model", "module")  # best first
WITHIN = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")  # torch.compile, FSDP
AGAIN = "get it again (published files: `python -m mgdemo download`)"
ZIP, PICKLE = b"PK\x03\x04", b"\x80"
USABLE = ("float32", "float16", "bfloat16")
TYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}  # others keep their names


@dataclass(frozen=True)
class Stored:
    """A tensor in a file; `read()` maps it into memory, on the CPU, until the result is dropped."""

    dtype: str
    shape: tuple[int, ...]
    read: Callable[[], Tensor]


@dataclass(frozen=True)
class Table:
    """The tensors of one model by name. `note`: what was chosen, where a file holds several; in words."""

    tensors: dict[str, Stored]
    note: str = ""


def read_table(path: str | Path) -> Table:
    """The tensors of a weight file, or of all shards if it is one of them or their index.

    Raises CheckpointError where the file is damaged, incomplete, or holds anything but tensors.
    """
    path = Path(path)
    if path.name.endswith(INDEX):
        return _named(path, _indexed(path))
    if SHARD.fullmatch(path.name):
        return _named(path, _together(path, shards(path)))
    return _named(path, *_read(path))


def weight_size(path: Path) -> int:
    """The bytes of a weight file, or of all shards of the model."""
    return sum(file.stat().st_size for file in shards(path) if file.is_file())


def shards(path: Path) -> list[Path]:
    """All files of the model that a shard or an index belongs to; `path` itself where it is neither.

    Raises CheckpointError for a damaged index.
    """
    if path.name.endswith(INDEX):
        return sorted(set(_weight_map(path).values()))
    if not (found := SHARD.fullmatch(path.name)):
        return [path]
    stem, count, suffix = found["stem"], int(found["count"]), found["suffix"]
    return [path.with_name(f"{stem}-{n:05d}-of-{count:05d}{suffix}") for n in range(1, count + 1)]


def some(names: Iterable[object], count: int = 3) -> str:
    """The first few of the names."""
    names = [str(name) for name in names]
    return ", ".join(names[:count]) + (", …" if len(names) > count else "")


def _read(path: Path) -> tuple[dict[str, Stored], str]:
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
        return _read_safetensors(path, size), ""
    if head.startswith((ZIP, PICKLE)):
        return _read_pytorch(path, zipped=head.startswith(ZIP))
    raise CheckpointError(f"{path} is neither a safetensors nor a PyTorch file; {AGAIN}.")


def _read_safetensors(path: Path, size: int) -> dict[str, Stored]:
    def reader(name: str) -> Callable[[], Tensor]:
        def read() -> Tensor:
            with safe_open(path, framework="pt") as file:  # a mapping of its own: it goes with the tensor
                return file.get_tensor(name)

        return read

    try:
        with safe_open(path, framework="pt") as file:
            table = {}
            for name in file.offset_keys():
                part = file.get_slice(name)
                dtype = str(part.get_dtype())
                table[name] = Stored(TYPES.get(dtype, dtype), tuple(part.get_shape()), reader(name))
            return table
    except (SafetensorError, OSError) as error:
        reason = str(error).removeprefix("Error while deserializing header: ")
        problem = f"is cut off or damaged, at {size:,} bytes ({reason})"
        raise CheckpointError(f"{path} {problem}; {AGAIN}.") from error


def _read_pytorch(path: Path, *, zipped: bool) -> tuple[dict[str, Stored], str]:
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
    keys, tensors = _model_in(path, content)
    note = f'its "{".".join(keys)}"' + AVERAGING * any(key in AVERAGED for key in keys) if keys else ""
    return {n: Stored(_name(t.dtype), tuple(t.shape), lambda t=t: t) for n, t in tensors.items()}, note


def _model_in(path: Path, content: Any) -> tuple[list[str], dict[str, Tensor]]:
    """The tensors of the model in what a PyTorch file holds, and the keys that lead to them."""
    if not isinstance(content, Mapping) or not content:
        raise CheckpointError(f"{path} holds a {type(content).__name__}, not tensors by name; {AGAIN}.")
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    inner = {str(key): value for key, value in content.items() if _has_tensors(value)}
    chosen = next((key for key in ENTRIES if key in inner), None)
    if chosen is None and tensors:
        return [], tensors
    if chosen is None and len(inner) == 1:
        chosen = next(iter(inner))
    if chosen is not None:
        keys, tensors = _model_in(path, inner[chosen])
        return [chosen, *keys], tensors
    if inner:
        raise CheckpointError(
            f"{path} holds {len(inner)} models ({some(inner)}), none of them called "
            f'{some(ENTRIES, len(ENTRIES))}. This saves one of them by itself: python -c "import torch; '
            f"torch.save(torch.load('{path.name}', map_location='cpu')['{next(iter(inner))}'], 'model.pt')\""
        )
    raise CheckpointError(f"{path} holds no tensors by name, only {some(content)}.")


def _has_tensors(value: Any) -> bool:
    if not isinstance(value, Mapping):
        return False
    return any(isinstance(inner, Tensor) or _has_tensors(inner) for inner in value.values())


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _weight_map(index: Path) -> dict[str, Path]:
    try:
        files = json.loads(index.read_text("utf-8"))["weight_map"]
        return {name: index.with_name(file) for name, file in files.items()}
    except OSError as error:
        raise CheckpointError(f"{index} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{index} is not a list of shards, or is damaged; {AGAIN}.") from error


def _indexed(index: Path) -> dict[str, Stored]:
    where = _weight_map(index)
    tensors = _together(index, shards(index))
    if missing := [name for name in where if name not in tensors]:
        raise CheckpointError(f"{index} lists tensors that its shards lack ({some(missing)}); {AGAIN}.")
    return {name: tensors[name] for name in where}


def _together(path: Path, files: list[Path]) -> dict[str, Stored]:
    if missing := [file.name for file in files if not file.is_file()]:
        raise CheckpointError(
            f"{path} is part of a model in {len(files)} shards, and {len(missing)} of them are not beside it "
            f"({some(missing)}); {AGAIN}."
        )
    tensors: dict[str, Stored] = {}
    for file in files:
        tensors |= _read(file)[0]
    return tensors


def _named(path: Path, tensors: dict[str, Stored], note: str = "") -> Table:
    """The table under the network's own names."""
    for key in AVERAGED:
        if averaged := {name: t for name, t in tensors.items() if name.startswith(f"{key}.")}:
            tensors, note = averaged, f'its "{key}"{AVERAGING}'
            break
    bare: dict[str, Stored] = {}
    for name, stored in tensors.items():
        short = ".".join(_unwrapped(name))
        if short in bare:
            raise CheckpointError(f"{path} holds {short} twice, under two names; save one model by itself.")
        bare[short] = stored
    return Table(bare, note)


def _unwrapped(name: str) -> Iterator[str]:
    """The parts of a tensor's name in its network."""
    *parts, last = (part for part in name.split(".") if part not in WITHIN)
    leading = True
    for part in parts:
        leading = leading and part in ENTRIES
        if not leading:
            yield part
    yield last
