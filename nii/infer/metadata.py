"""The card inside a model file: replaced without the package ``onnx``, the network byte for byte.

An ONNX file is one protocol-buffer message. Its fields are copied as they stand, but for the
key-value pairs of the metadata.

Reference:
    ONNX IR, message ModelProto (metadata_props is field 14: StringStringEntryProto with key 1 and
    value 2); protocol buffers encoding.
"""

from __future__ import annotations

from collections.abc import Mapping

from nii.errors import BundleError
from nii.infer.reach import varint

_METADATA = 14
_KEY, _VALUE = 1, 2
_VARINT, _EIGHT_BYTES, _DELIMITED, _FOUR_BYTES = 0, 1, 2, 5  # wire types
_FIXED = {_EIGHT_BYTES: 8, _FOUR_BYTES: 4}


def with_metadata(model: bytes, properties: Mapping[str, str]) -> bytes:
    """Return a model file with other metadata; nothing else changes.

    Args:
        model: content of an ONNX file.
        properties: all keys and values of the new file.

    Raises:
        BundleError: the content is no ONNX file.
    """
    try:
        kept = _without_metadata(model)
    except (IndexError, ValueError) as error:
        raise BundleError(
            "model",
            found=f"content that is no ONNX file ({error})",
            expected="a model as nii export writes it",
            remedy="Copy the bundle again.",
        ) from error
    return b"".join([*kept, *(_entry(key, value) for key, value in properties.items())])


def _without_metadata(model: bytes) -> list[bytes]:
    parts, place = [], 0
    while place < len(model):
        start = place
        tag, place = varint(model, place)
        place = _end(model, place, tag & 7)
        if tag >> 3 != _METADATA:
            parts.append(model[start:place])
    return parts


def _end(model: bytes, place: int, wire: int) -> int:
    """Return where a field ends whose content starts at a place."""
    if wire == _VARINT:
        return varint(model, place)[1]
    if wire == _DELIMITED:
        size, place = varint(model, place)
    elif wire in _FIXED:
        size = _FIXED[wire]
    else:
        msg = f"wire type {wire}"
        raise ValueError(msg)
    if place + size > len(model):
        msg = "a field that leaves the file"
        raise ValueError(msg)
    return place + size


def _entry(key: str, value: str) -> bytes:
    inner = _delimited(_KEY, key.encode()) + _delimited(_VALUE, value.encode())
    return _delimited(_METADATA, inner)


def _delimited(number: int, content: bytes) -> bytes:
    return _coded(number << 3 | _DELIMITED) + _coded(len(content)) + content


def _coded(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
