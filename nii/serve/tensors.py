"""Tensors on the wire: the Open Inference Protocol, version 2, as JSON and as bytes.

A request is a JSON object; with the binary extension its raw tensors follow it, and a header says
how long the JSON is. Only 32-bit floats travel: the model has no other inputs and outputs.

Reference: Open Inference Protocol (KServe), "Required API"; Triton, "Binary Tensor Data Extension".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32

from nii.errors import ConfigError

LENGTH_HEADER = "Inference-Header-Content-Length"
FP32 = "FP32"
_AXES = 4
_MOST_DIGITS = 12
_BYTES = 4
_LITTLE = np.dtype("<f4")

Array = Float32[np.ndarray, "batch channel height width"]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for.

    Attributes:
        inputs: by name.
        wanted: names of outputs, in order; empty for all.
        binary: outputs that shall come as bytes.
        identity: of the request; given back as it is.
    """

    inputs: Mapping[str, Array]
    wanted: tuple[str, ...]
    binary: frozenset[str]
    identity: str | None


def parse(body: bytes, header_length: str | None, outputs: Sequence[str]) -> Request:
    """Read a request.

    Args:
        body: of the HTTP request.
        header_length: value of :data:`LENGTH_HEADER`; None where all of the body is JSON.
        outputs: of the model.

    Raises:
        ConfigError: it is no request of the protocol, or asks for what the model does not have.
    """
    length = len(body) if header_length is None else _length(header_length, len(body))
    try:
        data = json.loads(body[:length])
    except (ValueError, RecursionError) as error:
        raise bad("a body that is no JSON", "a JSON object") from error
    if not isinstance(data, dict) or not isinstance(data.get("inputs"), list):
        raise bad("a body without the list 'inputs'", "a request of the Open Inference Protocol")
    inputs, rest = {}, body[length:]
    for item in data["inputs"]:
        name, array, rest = _input(item, rest)
        inputs[name] = array
    if rest:
        raise bad(f"{len(rest)} bytes that belong to no input", "as many as the inputs say")
    wanted, binary = _outputs(data, outputs)
    identity = data.get("id")
    return Request(inputs, wanted, binary, identity if isinstance(identity, str) else None)


def encode(
    request: Request, arrays: Mapping[str, Array], model: Mapping[str, str]
) -> tuple[bytes, int | None]:
    """Return the body of an answer, and the length of its JSON where bytes follow.

    Args:
        request: what was asked for.
        arrays: outputs by name, in order.
        model: `model_name` and `model_version`.
    """
    rows, tail = [], []
    for name, array in arrays.items():
        row: dict[str, Any] = {"name": name, "datatype": FP32, "shape": list(array.shape)}
        if name in request.binary:
            raw = np.ascontiguousarray(array, _LITTLE).tobytes()
            row["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            row["data"] = array.ravel().tolist()
        rows.append(row)
    named = {} if request.identity is None else {"id": request.identity}
    text = json.dumps({**model, **named, "outputs": rows}, allow_nan=False).encode()
    return b"".join([text, *tail]), len(text) if tail else None


def bad(found: str, expected: str) -> ConfigError:
    """Return the error for a request that cannot be answered."""
    remedy = "See docs/serve.md and the Open Inference Protocol, version 2."
    return ConfigError("request", found=found, expected=expected, remedy=remedy)


def _length(text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) < _MOST_DIGITS and int(text) <= most:
        return int(text)
    raise bad(f"{LENGTH_HEADER}: {text[:40]!r}", f"a number up to {most}")


def _input(item: Any, rest: bytes) -> tuple[str, Array, bytes]:  # noqa: ANN401
    if not isinstance(item, dict) or not isinstance(item.get("name"), str):
        raise bad("an input without a name", "name, shape, datatype and data")
    name, shape = item["name"], item.get("shape")
    if item.get("datatype") != FP32:
        raise bad(f"{name} as {item.get('datatype')!r}", FP32)
    if not isinstance(shape, list) or not _is_shape(shape):
        raise bad(f"{name} of shape {shape!r}"[:200], "four whole numbers from 1 on")
    count = math.prod(shape)
    parameters = item.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None:
        if size != count * _BYTES or len(rest) < size:
            raise bad(f"{name}: {size!r} of {len(rest)} bytes", f"{count * _BYTES} bytes")
        array = np.frombuffer(rest[:size], _LITTLE)
        rest = rest[size:]
    else:
        array = _numbers(name, item.get("data"), count)
    values = array.astype(np.float32).reshape(shape)
    if not np.isfinite(values).all():
        raise bad(f"{name} with values that are no numbers", "finite numbers")
    return name, values, rest


def _numbers(name: str, data: Any, count: int) -> np.ndarray:  # noqa: ANN401
    try:
        array = np.asarray(data, np.float64).ravel()
    except (ValueError, TypeError) as error:
        raise bad(f"{name} with data that are no numbers", f"{count} numbers") from error
    if array.size != count:
        raise bad(f"{name} with {array.size} numbers", f"{count}, as its shape says")
    return array


def _is_shape(shape: list[Any]) -> bool:
    return len(shape) == _AXES and all(type(size) is int and 0 < size < 1 << 31 for size in shape)


def _outputs(data: dict[str, Any], known: Sequence[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    every = _flag(data, "binary_data_output")
    rows = data.get("outputs")
    if rows is None:
        return tuple(known), frozenset(known if every else ())
    names, binary = [], set()
    for row in rows if isinstance(rows, list) else [None]:
        name = row.get("name") if isinstance(row, dict) else None
        if not isinstance(row, dict) or name not in known:
            raise bad(f"the output {name!r}"[:200], f"some of {', '.join(known)}")
        names.append(str(name))
        if every or _flag(row, "binary_data"):
            binary.add(str(name))
    return tuple(dict.fromkeys(names)) or tuple(known), frozenset(binary)


def _flag(row: dict[str, Any], name: str) -> bool:
    parameters = row.get("parameters")
    return isinstance(parameters, dict) and parameters.get(name) is True
