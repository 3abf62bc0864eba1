"""Reach: how far along a scan the threat maps of a model look, read from the model itself.

A cell of a map depends on a finite stretch of pixels where a network is made of convolutions and of
operators that work pixel by pixel. That stretch is what a strip must have on either side, so that
its cells are those of the whole scan. It follows from the kernels, strides and paddings that stand
in the ONNX file, so no card can be wrong about it, and bundles made before strips existed have it.
An operator that is not known here may look anywhere: then there is no reach, and no strips.

Only the few fields that matter are read from the file, since the package ``onnx`` is no part of the
installation on a workstation.

Reference:
    ONNX IR and operator specifications, opset 18 (Conv, pooling, Resize); protocol buffers
    encoding (varints, tags, length-delimited fields); Araujo, Norris and Sim (2019), Computing
    receptive fields of convolutional neural networks, equations 1 to 3.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_DETAIL = "detail"
_OUTPUTS = ("threat_heat", "threat_ltrb")
_ANOMALY = "anomaly"
"""Looked at where the model gives it."""
_PIXELWISE = frozenset(
    {"Abs", "Add", "BatchNormalization", "Cast", "Clip", "DequantizeLinear", "Div", "Elu", "Erf"}
    | {"Exp", "HardSigmoid", "HardSwish", "Identity", "LeakyRelu", "Log", "Max", "Min", "Mul"}
    | {"Neg", "Pow", "QuantizeLinear", "Relu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh"}
)
"""Operators whose result at a place follows from the same place of their inputs."""
_WINDOWED = frozenset({"Conv", "AveragePool", "MaxPool"})
_CHANNEL_AXIS = 1
_SPATIAL_PADS = 4
_INT64, _FLOAT32 = 7, 1  # TensorProto.DataType
_VARINT, _EIGHT_BYTES, _DELIMITED, _FOUR_BYTES = 0, 1, 2, 5  # wire types

Message = dict[int, list["bytes | int"]]


@dataclass(frozen=True, slots=True)
class Reach:
    """Say which columns a cell of the threat maps depends on.

    Cell i depends on the columns from ``stride_px · i − left_px`` to ``stride_px · i + right_px``.

    Attributes:
        stride_px: scan pixels per cell.
        left_px: columns to the left of a cell's first pixel.
        right_px: columns to the right of a cell's first pixel.
        grid_px: a cut at a multiple of this moves no cell of any layer.
    """

    stride_px: int
    left_px: int
    right_px: int
    grid_px: int

    @property
    def halo_px(self) -> int:
        """Return the margin that a strip needs on either side: a multiple of `grid_px`."""
        needed = max(self.left_px, self.right_px - self.stride_px + 1, 0)
        return math.ceil(needed / self.grid_px) * self.grid_px


@dataclass(frozen=True, slots=True)
class _Span:
    """What one tensor sees: as :class:`Reach`, in pixels."""

    stride: int
    left: int
    right: int
    coarsest: int


@dataclass(frozen=True, slots=True)
class _Node:
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    numbers: dict[str, tuple[int, ...]]
    texts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Graph:
    nodes: tuple[_Node, ...] = ()
    constants: dict[str, tuple[int | float, ...]] = field(default_factory=dict)
    """Small constant tensors: sizes, scales and axes; weights are left out."""


def reach_of(model: bytes) -> Reach | None:
    """Return the reach of the threat maps of an ONNX model; None where it has no limit.

    Args:
        model: content of an ONNX file that ONNX Runtime could load.
    """
    try:
        graph = _graph(model)
        spans = _spans(graph)
    except (IndexError, ValueError, struct.error):
        return None
    found = [spans.get(name) for name in (*_OUTPUTS, *(spans.keys() & {_ANOMALY}))]
    known = [span for span in found if span is not None]
    if len(known) < len(found) or len({span.stride for span in known}) != 1:
        return None
    return Reach(
        known[0].stride,
        max(span.left for span in known),
        max(span.right for span in known),
        max(span.coarsest for span in known),
    )


def _spans(graph: _Graph) -> dict[str, _Span | None]:
    """Return what every tensor sees that depends on the detail; None for one without limit."""
    spans: dict[str, _Span | None] = {_DETAIL: _Span(1, 0, 0, 1)}
    for node in graph.nodes:
        given = [spans[name] for name in node.inputs if name in spans]
        if given:
            made = _span(node, given, graph.constants)
            spans.update(dict.fromkeys(node.outputs, made))
    return spans


def _span(
    node: _Node, given: list[_Span | None], constants: dict[str, tuple[int | float, ...]]
) -> _Span | None:
    known = [span for span in given if span is not None]
    if len(known) < len(given):
        return None
    if node.kind in _WINDOWED and node.inputs[0] != "" and len(known) == 1:
        return _windowed(node, known[0])
    if node.kind == "Resize":
        return _resized(node, known[0], constants)
    if node.kind in _PIXELWISE or _along_channels(node, constants):
        return _joined(known)
    return None


def _joined(spans: list[_Span]) -> _Span | None:
    if len({span.stride for span in spans}) != 1:
        return None
    return _Span(
        spans[0].stride,
        max(span.left for span in spans),
        max(span.right for span in spans),
        max(span.coarsest for span in spans),
    )


def _windowed(node: _Node, span: _Span) -> _Span | None:
    """Return what a convolution or pooling sees; pads are y0, x0, y1, x1."""
    kernel = node.numbers.get("kernel_shape", ())
    pads = node.numbers.get("pads", (0,) * _SPATIAL_PADS)
    plain = node.texts.get("auto_pad", "NOTSET") == "NOTSET" and not any(
        node.numbers.get("ceil_mode", ())
    )
    if not plain or 2 * len(kernel) != _SPATIAL_PADS or len(pads) != _SPATIAL_PADS:
        return None
    stride, dilation = (
        node.numbers.get("strides", (1,))[-1],
        node.numbers.get("dilations", (1,))[-1],
    )
    before = pads[1]
    after = (kernel[-1] - 1) * dilation - before
    made = span.stride * stride
    return _Span(
        made,
        span.left + span.stride * before,
        span.right + span.stride * after,
        max(span.coarsest, made),
    )


def _resized(
    node: _Node, span: _Span, constants: dict[str, tuple[int | float, ...]]
) -> _Span | None:
    """Return what a repetition of every cell sees: out i is in ⌊i / factor⌋."""
    scales = constants.get(node.inputs[2], ()) if len(node.inputs) > 2 else ()  # noqa: PLR2004
    factor = round(scales[-1]) if len(scales) == _SPATIAL_PADS else 0
    how = tuple(
        node.texts.get(key) for key in ("mode", "coordinate_transformation_mode", "nearest_mode")
    )
    whole = factor > 0 and scales[-1] == factor and span.stride % factor == 0
    if not whole or how != ("nearest", "asymmetric", "floor"):
        return None
    made = span.stride // factor
    return _Span(made, span.left + made * (factor - 1), span.right, span.coarsest)


def _along_channels(node: _Node, constants: dict[str, tuple[int | float, ...]]) -> bool:
    if node.kind == "Concat":
        return node.numbers.get("axis") == (_CHANNEL_AXIS,)
    axes = constants.get(node.inputs[3], ()) if len(node.inputs) > 3 else ()  # noqa: PLR2004
    return node.kind == "Slice" and axes == (_CHANNEL_AXIS,)


def _graph(model: bytes) -> _Graph:
    """Return nodes and small constants of a ModelProto."""
    (content,) = _read(model).get(7, [b""])
    graph = _read(_bytes(content))
    nodes = tuple(_node(_read(_bytes(item))) for item in graph.get(1, []))
    constants = dict(_constant(_read(_bytes(item))) for item in graph.get(5, []))
    return _Graph(nodes, constants)


def _node(message: Message) -> _Node:
    numbers: dict[str, tuple[int, ...]] = {}
    texts: dict[str, str] = {}
    for item in message.get(5, []):
        attribute = _read(_bytes(item))
        name = _text(attribute.get(1, [b""])[0])
        values = attribute.get(8) or attribute.get(3, [])
        numbers[name] = tuple(value for item in values for value in _integers(item))
        texts[name] = _text(attribute.get(4, [b""])[0])
    return _Node(
        _text(message.get(4, [b""])[0]),
        tuple(map(_text, message.get(1, []))),
        tuple(map(_text, message.get(2, []))),
        numbers,
        {name: text for name, text in texts.items() if text},
    )


def _constant(message: Message) -> tuple[str, tuple[int | float, ...]]:
    """Return name and values of a TensorProto; no values where it is long or of another type."""
    name = _text(message.get(8, [b""])[0])
    kind = message.get(2, [0])[0]
    raw = _bytes(message.get(9, [b""])[0])
    letter = {_FLOAT32: "f", _INT64: "q"}.get(kind if isinstance(kind, int) else 0)
    if letter is None or len(raw) > _SPATIAL_PADS * struct.calcsize(letter):
        return name, ()
    if raw:
        return name, struct.unpack(f"<{len(raw) // struct.calcsize(letter)}{letter}", raw)
    if letter == "q":
        return name, tuple(v for item in message.get(7, []) for v in _integers(item))
    packed = b"".join(item for item in message.get(4, []) if isinstance(item, bytes))
    return name, struct.unpack(f"<{len(packed) // 4}f", packed)


def _read(data: bytes) -> Message:
    """Return the fields of one protocol buffers message by number; nothing inside is decoded."""
    fields: Message = {}
    for number, value in _fields(data):
        fields.setdefault(number, []).append(value)
    return fields


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    place = 0
    while place < len(data):
        tag, place = varint(data, place)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, place = varint(data, place)
            yield number, value
            continue
        if wire == _DELIMITED:
            size, place = varint(data, place)
        elif wire in {_EIGHT_BYTES, _FOUR_BYTES}:
            size = 8 if wire == _EIGHT_BYTES else 4
        else:
            msg = f"wire type {wire}"
            raise ValueError(msg)
        if place + size > len(data):
            msg = "a field that leaves its message"
            raise ValueError(msg)
        yield number, data[place : place + size]
        place += size


def varint(data: bytes, place: int) -> tuple[int, int]:
    """Return the number that is written at a place, and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if not byte & 0x80:
            return value, place
        shift += 7


def _integers(item: bytes | int) -> tuple[int, ...]:
    """Return signed numbers of 64 bits, packed or alone."""
    if isinstance(item, int):
        return (item - (1 << 64) if item >> 63 else item,)
    found: list[int] = []
    place = 0
    while place < len(item):
        value, place = varint(item, place)
        found += _integers(value)
    return tuple(found)


def _bytes(value: bytes | int) -> bytes:
    if isinstance(value, bytes):
        return value
    msg = "a number where a message should be"
    raise ValueError(msg)


def _text(value: bytes | int) -> str:
    return _bytes(value).decode("utf-8")
