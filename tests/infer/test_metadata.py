"""Another card inside a model, and the same network."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nii.bundle import CARD_KEY, Bundle, metadata_of
from nii.errors import BundleError
from nii.infer.metadata import with_metadata
from nii.infer.runtime import CPU, ProviderSettings, open_session


def test_the_card_changes_and_the_network_stays(tiny_bundle: Bundle) -> None:
    """ONNX Runtime reads the new card; the graph is the same, byte for byte."""
    onnx = pytest.importorskip("onnx", reason="the extra [train] is not installed")
    before = tiny_bundle.model_path.read_bytes()
    card = replace(tiny_bundle.card, version="1.1", intended_use="ü" * 300)
    after = with_metadata(before, metadata_of(card))
    session = open_session(after, ProviderSettings((CPU,)))
    assert json.loads(session.metadata[CARD_KEY])["version"] == "1.1"
    graphs = [onnx.load_from_string(data).graph.SerializeToString() for data in (before, after)]
    assert graphs[0] == graphs[1]


def test_the_same_card_twice_is_the_same_file(tiny_bundle: Bundle) -> None:
    """Nothing is added up: writing metadata again changes nothing."""
    once = with_metadata(tiny_bundle.model_path.read_bytes(), {"a": "b"})
    assert with_metadata(once, {"a": "b"}) == once


@pytest.mark.parametrize("content", [b"\x3a\xff\xff\x01ab", b"\x0b", b"\x80"])
def test_what_is_no_model_is_refused(content: bytes) -> None:
    """A field that leaves the file, an unknown wire type and half a number are errors."""
    with pytest.raises(BundleError, match="no ONNX file"):
        with_metadata(content, {})
