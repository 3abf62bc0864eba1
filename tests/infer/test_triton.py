"""Triton: the repository is one that the server's own schema accepts, with the right sizes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nii.bundle import Bundle, read_bundle
from nii.errors import BundleError
from nii.infer.triton import MAX_BATCH, config_text, write_repository

TOKEN = re.compile(
    r'\s*(?:(?P<word>[A-Za-z_]\w*)|(?P<number>-?\d+)|(?P<text>"[^"\\]*")|(?P<sign>[\[\]{}:,]))'
)


def parsed(text: str) -> dict[str, list[Any]]:  # noqa: C901 - a grammar in one place
    """Read the text form of protocol buffers strictly; every field is a list of its values."""
    tokens, place = [], 0
    while place < len(text.rstrip()):
        match = TOKEN.match(text, place)
        assert match, text[place : place + 40]
        tokens.append(match[match.lastgroup or 0])
        place = match.end()

    def value() -> Any:  # noqa: ANN401
        word = tokens.pop(0)
        if word == "{":
            return message("}")
        assert word not in "[]{}:,"
        return word.strip('"') if word.startswith('"') else word

    def message(end: str) -> dict[str, list[Any]]:
        fields: dict[str, list[Any]] = {}
        while tokens and tokens[0] != end:
            name = tokens.pop(0)
            assert re.fullmatch(r"[A-Za-z_]\w*", name)
            if tokens[0] == ":":
                tokens.pop(0)
            else:
                assert tokens[0] in "[{"  # only a message may leave the colon out
            rows = fields.setdefault(name, [])
            if tokens[0] != "[":
                rows.append(value())
                continue
            tokens.pop(0)
            while tokens[0] != "]":
                rows.append(value())
                assert tokens[0] in "],"
                if tokens[0] == ",":
                    tokens.pop(0)
            tokens.pop(0)
        if end:
            assert tokens.pop(0) == end
        return fields

    return message("")


def shipped(root: Path) -> Bundle:
    """Return the shipped bundle."""
    return read_bundle(min((root / "models").glob("*/card.json")).parent)


def test_the_configuration_says_what_the_file_says(root: Path, tmp_path: Path) -> None:
    """Names, types and sizes are those of the ONNX file; the model is copied byte for byte."""
    onnx = pytest.importorskip("onnx", reason="the extra [train] is not installed")
    bundle = shipped(root)
    folder = write_repository(bundle, tmp_path)
    assert (folder / "1" / "model.onnx").read_bytes() == bundle.model_path.read_bytes()
    fields = parsed((folder / "config.pbtxt").read_text("utf-8"))
    assert fields["name"] == [folder.name]
    assert fields["backend"] == ["onnxruntime"]
    assert fields["max_batch_size"] == [str(MAX_BATCH)]
    assert "max_queue_delay_microseconds" in fields["dynamic_batching"][0]
    graph = onnx.load(bundle.model_path).graph
    for kind, tensors in (("input", graph.input), ("output", graph.output)):
        rows = {row["name"][0]: row for row in fields[kind]}
        assert list(rows) == [tensor.name for tensor in tensors]
        for tensor in tensors:
            sizes = [d.dim_value or -1 for d in tensor.type.tensor_type.shape.dim][1:]
            assert rows[tensor.name]["dims"] == [str(size) for size in sizes]
            assert rows[tensor.name]["data_type"] == ["TYPE_FP32"]


def test_the_server_s_own_schema_accepts_it(root: Path) -> None:
    """NVIDIA's protocol buffer reads the text without an unknown field."""
    service = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="no tritonclient")
    from google.protobuf import text_format

    config = text_format.Parse(config_text(shipped(root)), service.ModelConfig())
    assert config.max_batch_size == MAX_BATCH


def test_a_name_that_is_no_folder_is_refused(tiny_bundle: Bundle, tmp_path: Path) -> None:
    """A model whose name could lead out of the repository is not written."""
    stranger = replace(tiny_bundle, card=replace(tiny_bundle.card, name="../up"))
    with pytest.raises(BundleError, match="up"):
        write_repository(stranger, tmp_path)


def test_the_parser_can_fail() -> None:
    """A text with a missing bracket is found out."""
    with pytest.raises((AssertionError, IndexError)):
        parsed('input [ { name: "x" ]')
