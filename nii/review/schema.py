"""Checks JSON against the part of JSON Schema that our own API is described in.

The same schemas stand in the OpenAPI document, so what is written there is what is checked.

Reference:
    JSON Schema, draft 2020-12: type, enum, const, pattern, minLength, maxLength, minimum, maximum,
    items, minItems, maxItems, properties, required, additionalProperties.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}


def problem(value: object, schema: Schema, where: str = "the body") -> str:
    """Return what does not fit a schema, in words; an empty text where all does."""
    kinds = schema.get("type")
    if kinds is not None:
        names = [kinds] if isinstance(kinds, str) else list(kinds)
        if not any(_is(value, name) for name in names):
            return f"{where} is not of type {' or '.join(names)}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{where} is none of {', '.join(map(str, schema['enum']))}"
    if isinstance(value, str):
        return _text(value, schema, where)
    if isinstance(value, list):
        return _array(value, schema, where)
    if isinstance(value, dict):
        return _object(value, schema, where)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _number(float(value), schema, where)
    return ""


def read(text: str, schema: Schema, where: str) -> tuple[object, str]:
    """Return the value that a text of the address stands for, and what does not fit."""
    kind = schema.get("type")
    value: object = text
    if kind == "integer":
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            return None, f"{where} is not of type integer"
        value = int(text)
    elif kind == "boolean":
        if text not in ("true", "false"):
            return None, f"{where} is not of type boolean"
        value = text == "true"
    return value, problem(value, schema, where)


def _is(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _text(value: str, schema: Schema, where: str) -> str:
    if len(value) < schema.get("minLength", 0):
        return f"{where} is too short"
    if len(value) > schema.get("maxLength", len(value)):
        return f"{where} is longer than {schema['maxLength']} characters"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"{where} does not have the form {schema['pattern']}"
    return ""


def _number(value: float, schema: Schema, where: str) -> str:
    if value < schema.get("minimum", value) or value > schema.get("maximum", value):
        low, high = schema.get("minimum", ""), schema.get("maximum", "")
        return f"{where} is outside {low} to {high}"
    return ""


def _array(value: list[Any], schema: Schema, where: str) -> str:
    if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        return f"{where} has {len(value)} items"
    problems = (
        problem(item, schema.get("items", {}), f"item {index + 1} of {where}")
        for index, item in enumerate(value)
    )
    return next(filter(None, problems), "")


def _object(value: dict[str, Any], schema: Schema, where: str) -> str:
    known = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        return f"{where} lacks {', '.join(missing)}"
    extra = [name for name in value if name not in known]
    if extra and schema.get("additionalProperties", True) is False:
        return f"{where} has an unknown field {extra[0][:40]!r}"
    problems = (
        problem(item, known[name], f"{name} of {where}")
        for name, item in value.items()
        if name in known
    )
    return next(filter(None, problems), "")
