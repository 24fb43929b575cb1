"""The JSON schema of a comparison's manifest, and a check of manifests against it."""

import importlib.resources
import json
import re
from pathlib import Path
from typing import Any

SCHEMA = json.loads(
    importlib.resources.files("jaxnet.comparison")
    .joinpath("manifest.schema.json")
    .read_text(encoding="utf-8")
)
KINDS = {
    "object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
    "boolean": bool, "null": type(None),
}  # fmt: skip
KNOWN = {
    "$schema", "title", "description", "type", "properties", "required", "additionalProperties",
    "items", "minItems", "maxItems", "minimum", "exclusiveMinimum", "enum", "const", "pattern",
}  # fmt: skip


def faults_of(value: Any, schema: dict[str, Any], place: str = "manifest") -> list[str]:
    """Where a value differs from a schema of these keywords (JSON Schema, draft 2020-12)."""
    assert set(schema) <= KNOWN, place
    kinds = schema.get("type", list(KINDS))
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if not any(
        isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool))
        for kind in kinds
    ):
        return [f"{place} is no {kinds}"]
    faults = [f"{place}: {name} is missing" for name in schema.get("required", [])
              if name not in value]  # fmt: skip
    if isinstance(value, dict):
        of = schema.get("properties", {})
        other = schema.get("additionalProperties", {})
        for name, entry in value.items():
            faults += faults_of(entry, of.get(name, other), f"{place}.{name}")
    if isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            faults.append(f"{place} has {len(value)} items")
        for k, entry in enumerate(value):
            faults += faults_of(entry, schema.get("items", {}), f"{place}[{k}]")
    is_fine = (
        value in schema.get("enum", [value])
        and value == schema.get("const", value)
        and ("minimum" not in schema or value >= schema["minimum"])
        and ("exclusiveMinimum" not in schema or value > schema["exclusiveMinimum"])
        and ("pattern" not in schema or re.search(schema["pattern"], value))
    )
    return faults if is_fine else [*faults, f"{place} is {value!r}"]


def manifest_faults(folder: Path) -> list[str]:
    """Where the manifest of a comparison's folder differs from its schema."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return faults_of(manifest, SCHEMA)
