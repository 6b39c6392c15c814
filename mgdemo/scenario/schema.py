"""The JSON Schema of scenario files, from the grammar that reads them."""

from __future__ import annotations

from typing import Any

from mgdemo.actions import MODES
from mgdemo.scenario.grammar import File, mode_names, steps
from mgdemo.scenario.words import any_case


def json_schema() -> dict:
    """JSON Schema of scenario files, for editors; published as scenarios/schema.json."""
    schema = File.model_json_schema()
    definitions, cases = {}, []
    schema["properties"]["actions"] = {"type": "array", "minItems": 1}
    for mode in MODES.values():
        reference = f"#/$defs/{mode.name}_{{model}}"
        own = steps(mode.name).json_schema(ref_template=reference)
        definitions |= {f"{mode.name}_{name}": part for name, part in own.pop("$defs").items()}
        definitions[mode.name] = own
        names = [name for name, of in mode_names().items() if of == mode.name]
        chosen = {"properties": {"mode": {"pattern": any_case(names)}}}
        cases.append({"if": chosen, "then": {"properties": {"actions": {"$ref": f"#/$defs/{mode.name}"}}}})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_plain(schema) | {"title": "mgdemo scenario"},
        "allOf": cases,
        "$defs": _plain(definitions),
    }


def _plain(schema: Any) -> Any:
    """Without the titles, defaults and discriminators that pydantic adds, which tell an editor nothing."""
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {key: _plain(value) for key, value in schema.items() if key not in ("default", "discriminator")}
    if isinstance(kept.get("title"), str):
        del kept["title"]
    return kept
