"""What a visitor has chosen to compare, as plain values: for form and links, and for a page loaded again."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from mgdemo.compare.translate import By

PLAIN = "none"  # the form's word for no optimization, since a list has no empty word
OPTIMIZATIONS = {PLAIN: "as published", "fp8": "FP8", "int8": "INT8 decoder", "low-vram": "low-vram"}
MOST_ITEMS = 100  # of any list


@dataclass(frozen=True)
class Choice:
    """Rows: scenarios times seeds times images. Columns: checkpoints times optimizations times column_seeds.

    scenarios: "mode/name" of those that ship, or paths of files that the visitor brought; images:
    "mode:name", or such paths; none of them, like no seeds, is each scenario's own. names: what the visitor
    calls the files.
    """

    scenarios: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    seeds: str = ""
    checkpoints: tuple[str, ...] = ()
    optimizations: tuple[str, ...] = (PLAIN,)
    column_seeds: str = ""
    by: By = "meaning"
    names: dict[str, str] = field(default_factory=dict, hash=False)

    @property
    def private(self) -> bool:
        """Whether files of the visitor's own are in it, which no link can hold."""
        return any(path in self.names for path in (*self.scenarios, *self.images))

    def text(self) -> str:
        return json.dumps(dataclasses.asdict(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def read(cls, text: str) -> Choice:
        """Of a stranger, too: what is of no use is found when it is planned. Raises ValueError."""
        values: Any = json.loads(text)
        if not isinstance(values, dict) or not values.keys() <= {
            item.name for item in dataclasses.fields(cls)
        }:
            raise ValueError("no choice of ours")
        for name in ("scenarios", "images", "checkpoints", "optimizations"):
            listed = values.get(name, [])
            if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
                raise ValueError(f"{name} is not a list of names")
            values[name] = tuple(listed[:MOST_ITEMS])
        if not all(isinstance(values.get(name, ""), str) for name in ("seeds", "column_seeds")):
            raise ValueError("seeds are texts")
        names = values.get("names", {})
        if values.get("by", "meaning") not in ("meaning", "key") or not isinstance(names, dict):
            raise ValueError("no choice of ours")
        values["names"] = {
            str(path)[:1000]: str(name)[:200] for path, name in list(names.items())[:MOST_ITEMS]
        }
        return cls(**values)
