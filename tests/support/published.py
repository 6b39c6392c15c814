"""The published files' tables of contents, as safetensors files of any size that take no room."""

import json
from math import prod
from pathlib import Path

MANIFESTS = Path(__file__).parent.parent / "goldens" / "manifests"
SIZES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I8": 1, "F8_E4M3": 1, "I64": 8}


def manifest(name: str) -> dict[str, list[int]]:
    keys = json.loads((MANIFESTS / f"{name}.json").read_text())["keys"]
    return {name: shape for name, (shape, _) in keys.items()}


def sparse(path: Path, shapes: dict[str, list[int]], dtype: str | dict[str, str] = "BF16") -> Path:
    """A safetensors file that takes no room: a true header, then a hole for the numbers."""
    header, end = {}, 0
    for name, shape in shapes.items():
        kind = dtype if isinstance(dtype, str) else dtype.get(name, "BF16")
        size = prod(shape) * SIZES[kind]
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path
