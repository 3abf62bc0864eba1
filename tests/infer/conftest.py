"""A real, tiny model that obeys the contract, and scans that it understands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jaxtyping import Float32

from nii.bundle import CARD_KEY, Bundle, Card, DecodeSpec, Thresholds, write_bundle
from nii.infer import selftest
from nii.infer.runtime import CPU, ProviderSettings, open_session
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance
from nii.scan import Scan

HEIGHT, WIDTH = 256, 800
CONTAINER = (192, 56, 608, 200)
"""Container of the scans, x0, y0, x1, y1 in pixels."""
THREAT_PX = 48
"""Side of the square threat of the scans."""


def tiny_card() -> Card:
    """Return the card of the tiny model."""
    return Card(
        name="tiny",
        version="1",
        threats=("firearm", "dense_object"),
        structures=("vehicle", "container"),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds(
            look={"firearm": 0.3, "dense_object": 0.3},
            search={"firearm": 0.7, "dense_object": 0.7},
            basis="made for tests",
        ),
        provenance=Provenance(steps=("built by hand",)).to_json(),
        intended_use="tests",
    )


def tiny_model(card: Card | None) -> bytes:
    """Return an ONNX model whose answers follow from pooled attenuation; no card if None.

    A dense object is a square of THREAT_PX pixels, a container has the size of CONTAINER.
    """
    onnx = pytest.importorskip("onnx", reason="the extra [train] is not installed")
    from onnx import helper
    from onnx.helper import make_node as node

    def linear(view: str, name: str) -> list[Any]:
        """Return the nodes that turn the first channel of a view into attenuation / 4."""
        return [
            node("Slice", [view, "first", "second", "axis"], [f"{name}_companded"]),
            node("Mul", [f"{name}_companded", "two"], [f"{name}_twice"]),
            node("Exp", [f"{name}_twice"], [f"{name}_raised"]),
            node("Sub", [f"{name}_raised", "one"], [f"{name}_knees"]),
            node("Mul", [f"{name}_knees", "unit"], [name]),
        ]

    half = THREAT_PX / 2
    wide, high = (CONTAINER[2] - CONTAINER[0]) / 2, (CONTAINER[3] - CONTAINER[1]) / 2
    constants = {
        "first": np.asarray([0], np.int64),
        "second": np.asarray([1], np.int64),
        "axis": np.asarray([1], np.int64),
        "zero": np.asarray(0, np.float32),
        # Companding is undone, so that thresholds are quarters of an attenuation.
        "two": np.asarray(2, np.float32),
        "one": np.asarray(1, np.float32),
        "unit": np.asarray(PreprocessSpec().knee / 4, np.float32),
        "gain": np.asarray(24, np.float32),
        "level": np.asarray(0.35, np.float32),
        "sharp": np.asarray(200, np.float32),
        "wall": np.asarray(0.03, np.float32),
        "half": np.full((1, 4, 1, 1), half, np.float32),
        # A vehicle is never found; the distances of a container are in overview pixels (scale 2).
        "sides": np.asarray([1] * 4 + [wide / 2, high / 2] * 2, np.float32).reshape(1, 8, 1, 1),
    }
    nodes = [
        *linear("detail", "a"),
        node("AveragePool", ["a"], ["a4"], kernel_shape=[4, 4], strides=[4, 4]),
        node("AveragePool", ["a4"], ["mean"], kernel_shape=[11, 11], pads=[5] * 4),
        node("Sub", ["mean", "level"], ["above"]),
        node("Mul", ["above", "gain"], ["logit"]),
        node("Sigmoid", ["logit"], ["dense"]),
        node("Mul", ["dense", "zero"], ["none"]),
        node("Concat", ["none", "dense"], ["threat_heat"], axis=1),
        node("Add", ["none", "half"], ["threat_ltrb"]),
        *linear("overview", "o"),
        node("AveragePool", ["o"], ["o2"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Sub", ["o2", "wall"], ["over"]),
        node("Mul", ["over", "sharp"], ["edge"]),
        node("Sigmoid", ["edge"], ["in"]),
        node("AveragePool", ["in"], ["mid"], kernel_shape=[35, 103], pads=[17, 51, 17, 51]),
        node("Mul", ["in", "zero"], ["nothing"]),
        node("Concat", ["nothing", "in"], ["structure_inside"], axis=1),
        node("Concat", ["nothing", "mid"], ["structure_centre"], axis=1),
        node("Add", ["nothing", "sides"], ["structure_ltrb"]),
    ]
    maps = ("threat_heat", "threat_ltrb", "structure_centre", "structure_inside", "structure_ltrb")
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            helper.make_tensor_value_info("detail", kind, ["n", 4, "h", "w"]),
            helper.make_tensor_value_info("overview", kind, ["m", 4, 128, "ow"]),
        ],
        [helper.make_tensor_value_info(name, kind, None) for name in maps],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=8)
    if card is not None:
        helper.set_model_props(model, {CARD_KEY: json.dumps(card.to_json())})
    return bytes(model.SerializeToString())


def tiny_bundle_in(folder: Path) -> Bundle:
    """Write a bundle of the tiny model, with its self-test."""
    card = tiny_card()
    model = tiny_model(card)
    session = open_session(model, ProviderSettings((CPU,)))
    test = selftest.to_bytes(selftest.record(session.run, card.preprocess))
    return write_bundle(folder, card, model, {"note": "made for tests"}, test)


def tiny_scan(threats: tuple[tuple[int, int], ...] = ((320, 120),), shift: int = 0) -> Scan:
    """Return a container with square threats, whose middles are given in pixels."""
    attenuation = np.zeros((2, HEIGHT, WIDTH), np.float32)
    x0, y0, x1, y1 = CONTAINER
    attenuation[:, y0:y1, x0 + shift : x1 + shift] = 0.3
    half = THREAT_PX // 2
    for x, y in threats:
        attenuation[:, y - half : y + half, x + shift - half : x + shift + half] = 3.0
    attenuation[1] *= 1.15
    transmission: Float32[np.ndarray, "energy height width"] = np.exp(-attenuation)
    return Scan(transmission, endpoint_mev=(9.0, 6.0), pixel_pitch_mm=(5.0, 4.0))


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a bundle of the tiny model on disk."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    return tiny_bundle_in(folder)


@pytest.fixture(scope="session")
def make_scan() -> Callable[..., Scan]:
    """Return how scans are made of the places of their threats."""
    return tiny_scan


@pytest.fixture(scope="session")
def make_model() -> Callable[[Card | None], bytes]:
    """Return how a model is made that carries a card."""
    return tiny_model


@pytest.fixture
def bundle_folder(tiny_bundle: Bundle) -> Path:
    """Return the folder of the tiny bundle."""
    return tiny_bundle.folder
