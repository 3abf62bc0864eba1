"""Claims about the check of JSON: it agrees with a full implementation of JSON Schema."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from nii.review import schema as subject

SCHEMAS: list[dict[str, object]] = [
    {"type": "integer", "minimum": 1, "maximum": 9},
    {"type": ["number", "null"], "minimum": 0},
    {"type": "string", "minLength": 1, "maxLength": 4, "pattern": "^[a-z]*$"},
    {"enum": ["release", "inspect", None]},
    {"type": "array", "items": {"type": "number"}, "minItems": 1, "maxItems": 2},
    {
        "type": "object",
        "required": ["a"],
        "additionalProperties": False,
        "properties": {"a": {"type": "boolean"}, "b": {"type": "string"}},
    },
    {"type": "object", "properties": {"a": {"type": "object", "required": ["b"]}}},
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-2, 12)
    | st.floats(-2, 12)
    | st.sampled_from(["", "a", "abc", "release", "inspect", "ABCDE", "éa"])
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@pytest.mark.slow
@settings(deadline=None)
@given(value=VALUES)
@pytest.mark.parametrize("schema", SCHEMAS, ids=str)
def test_agrees_with_json_schema(schema: dict[str, object], value: object) -> None:
    """A value fits exactly where the reference implementation says that it does."""
    fits = Draft202012Validator(schema).is_valid(value)
    assert (subject.problem(value, schema) == "") is fits


@pytest.mark.parametrize(
    ("text", "schema", "value"),
    [
        ("7", {"type": "integer"}, 7),
        ("true", {"type": "boolean"}, True),
        ("x", {"type": "string"}, "x"),
        ("7.5", {"type": "integer"}, None),
        ("1e3", {"type": "integer"}, None),
        ("\u0667", {"type": "integer"}, None),
        ("yes", {"type": "boolean"}, None),
    ],
)
def test_texts_of_addresses(text: str, schema: dict[str, object], value: object) -> None:
    """A text stands for a value of the schema's type, or something is wrong with it."""
    found, wrong = subject.read(text, schema, "x")
    assert found == value
    assert bool(wrong) is (value is None)
