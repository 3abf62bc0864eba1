"""Tensors on the wire: what is written is read back, and nonsense is refused in words."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii.errors import ConfigError
from nii.serve import tensors

OUTPUTS = ("heat", "ltrb")
MODEL = {"model_name": "m", "model_version": "1"}


def body(**changes: object) -> bytes:
    """Return a request with one input of two numbers, with changes to that input."""
    item = {"name": "x", "datatype": "FP32", "shape": [1, 1, 1, 2], "data": [0.5, 2]}
    return json.dumps({"inputs": [item | changes]}).encode()


@pytest.mark.parametrize("binary", [False, True])
def test_an_answer_carries_the_numbers(rng: np.random.Generator, *, binary: bool) -> None:
    """Numbers survive as JSON and as bytes, bit for bit."""
    truth = rng.normal(size=(1, 2, 3, 4)).astype(np.float32)
    asked = tensors.Request({}, ("heat",), frozenset(["heat"] if binary else []), "7")
    content, length = tensors.encode(asked, {"heat": truth}, MODEL)
    head = json.loads(content[:length])
    assert (head["id"], head["model_name"]) == ("7", "m")
    row = head["outputs"][0]
    if binary:
        assert row["parameters"]["binary_data_size"] == truth.nbytes
        found = np.frombuffer(content[length:], "<f4")
    else:
        assert length is None
        found = np.asarray(row["data"], np.float32)
    assert np.array_equal(found.reshape(row["shape"]), truth)


def test_bytes_and_json_are_the_same_request(rng: np.random.Generator) -> None:
    """A tensor that follows the JSON as bytes is the one that stands in it as numbers."""
    truth = rng.normal(size=(1, 1, 2, 3)).astype(np.float32)
    plain = {"name": "x", "datatype": "FP32", "shape": list(truth.shape)}
    sized = plain | {"parameters": {"binary_data_size": truth.nbytes}}
    head = json.dumps({"inputs": [sized], "parameters": {"binary_data_output": True}}).encode()
    first = tensors.parse(head + truth.tobytes(), str(len(head)), OUTPUTS)
    told = json.dumps({"inputs": [plain | {"data": truth.tolist()}]}).encode()
    second = tensors.parse(told, None, OUTPUTS)
    assert np.array_equal(first.inputs["x"], truth)
    assert np.array_equal(second.inputs["x"], truth)
    assert first.binary == frozenset(OUTPUTS)
    assert (second.wanted, second.binary) == (OUTPUTS, frozenset())


@pytest.mark.parametrize(
    ("content", "length", "word"),
    [
        (b"{", None, "no JSON"),
        (b"[]", None, "inputs"),
        (body(datatype="INT64"), None, "INT64"),
        (body(shape=[1, 1, 1, 3]), None, "2 numbers"),
        (body(shape=[1, 1, 1, -2]), None, "shape"),
        (body(shape=[True, 1, 1, 2]), None, "shape"),
        (body(data=["a", "b"]), None, "no numbers"),
        (body(data=[1.0, float("nan")]), None, "no numbers"),
        (body(parameters={"binary_data_size": 1 << 40}), None, "bytes"),
        (body(), "-1", "Length"),
        (body(), "99999999999999999999", "Length"),
        (body() + b"tail", str(len(body())), "belong to no input"),
    ],
)
def test_nonsense_is_refused(content: bytes, length: str | None, word: str) -> None:
    """Each request that makes no sense says what was found in it."""
    with pytest.raises(ConfigError, match=word):
        tensors.parse(content, length, OUTPUTS)


def test_unknown_outputs_are_refused() -> None:
    """An output that the model does not have is named in the refusal."""
    data = json.loads(body()) | {"outputs": [{"name": "mood"}]}
    with pytest.raises(ConfigError, match="mood"):
        tensors.parse(json.dumps(data).encode(), None, OUTPUTS)


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["name", "shape", "data", "datatype", "parameters", "inputs", "outputs"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=20)
@given(JSON, st.binary(max_size=20), st.none() | st.text(max_size=5))
def test_any_request_is_read_or_refused(item: Any, tail: bytes, length: str | None) -> None:  # noqa: ANN401
    """Whatever comes in, the answer is a request or a refusal in words, nothing else."""
    content = json.dumps({"inputs": [item] if not isinstance(item, list) else item}).encode()
    for whole in (content, content + tail, tail):
        try:
            tensors.parse(whole, length, OUTPUTS)
        except ConfigError as error:
            assert error.remedy  # noqa: PT017 - a request that is read raises nothing
