"""Tests of :mod:`nii.infer.reach`: what is read from the file is what the network does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii.bundle import Bundle
from nii.infer.reach import Reach, reach_of

WIDTH = 384

layers = st.lists(
    st.tuples(
        st.sampled_from(["conv", "pool", "down", "up"]),
        st.sampled_from([1, 2, 3, 5]),
        st.integers(0, 3),
        st.integers(1, 2),
    ),
    min_size=1,
    max_size=5,
)


def network(layers: list[tuple[str, int, int, int]]) -> tuple[bytes, int]:
    """Return an ONNX model whose both threat maps see all of their reach, and its stride.

    All weights are 1, so that nothing cancels and a changed pixel changes all that see it.
    """
    onnx = pytest.importorskip("onnx", reason="the extra [train] is not installed")
    helper = onnx.helper
    twice = onnx.numpy_helper.from_array(np.asarray([1, 1, 1, 2], np.float32), "twice")
    weights, nodes, tensor, stride, channels = [twice], [], "detail", 1, 4
    for number, (kind, kernel, pad, dilation) in enumerate(layers):
        made, span = f"t{number}", (kernel - 1) * dilation
        given: list[str] = [tensor]
        attributes: dict[str, Any] = {}
        if kind == "up" and stride > 1:
            name, given, stride = "Resize", [tensor, "", "twice"], stride // 2
            attributes = {"mode": "nearest", "nearest_mode": "floor"}
            attributes |= {"coordinate_transformation_mode": "asymmetric"}
        elif kind == "pool":
            name, before = "AveragePool", min(pad, kernel - 1)
            attributes = {"kernel_shape": [1, kernel], "pads": [0, before, 0, kernel - 1 - before]}
        else:
            weight = np.ones((1, channels, 1, kernel), np.float32)
            weights.append(onnx.numpy_helper.from_array(weight, f"w{number}"))
            name, given, channels = "Conv", [tensor, f"w{number}"], 1
            step, before = 2 if kind == "down" else 1, min(pad, span)
            attributes = {"kernel_shape": [1, kernel], "pads": [0, before, 0, span - before]}
            attributes |= {"strides": [1, step], "dilations": [1, dilation]}
            stride *= step
        nodes.append(helper.make_node(name, given, [made], **attributes))
        tensor = made
    nodes += [helper.make_node("Relu", [tensor], ["threat_heat"])]
    nodes += [helper.make_node("Mul", [tensor, "twice1"], ["threat_ltrb"])]
    weights.append(onnx.numpy_helper.from_array(np.asarray(2, np.float32), "twice1"))
    number = onnx.TensorProto.FLOAT
    outputs = ("threat_heat", "threat_ltrb")
    graph = helper.make_graph(
        nodes,
        "random",
        [helper.make_tensor_value_info("detail", number, ["n", 4, 1, "w"])],
        [helper.make_tensor_value_info(name, number, None) for name in outputs],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString(), stride


@settings(max_examples=20)
@given(layers)
def test_a_cell_sees_its_reach_and_no_more(layers: list[tuple[str, int, int, int]]) -> None:
    """In random networks no pixel outside the reach counts, and its first and last one do."""
    onnxruntime = pytest.importorskip("onnxruntime")
    model, stride = network(layers)
    reach = reach_of(model)
    assert reach is not None
    assert reach.stride_px == stride
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    columns = WIDTH // 2 + np.arange(reach.grid_px)
    detail = np.zeros((reach.grid_px, 4, 1, WIDTH), np.float32)
    detail[np.arange(reach.grid_px), :, :, columns] = 1
    (heat,) = session.run(["threat_heat"], {"detail": detail})
    which, _, _, cells = np.nonzero(heat)
    distance = columns[which] - stride * cells
    assert (-distance).max() <= reach.left_px
    assert distance.max() <= reach.right_px
    if not any(kind == "up" for kind, *_ in layers):
        # Repetition makes neighbours see unequally far; without it the bounds are met.
        assert ((-distance).max(), distance.max()) == (reach.left_px, reach.right_px)


def test_the_halo_covers_the_reach() -> None:
    """A halo is a multiple of the grid that reaches as far as any cell beside it."""
    assert Reach(4, 127, 115, 16).halo_px == 128
    assert Reach(4, 128, 115, 16).halo_px == 128
    assert Reach(4, 129, 115, 16).halo_px == 144
    assert Reach(4, 3, 20, 16).halo_px == 32
    assert Reach(1, 0, 0, 1).halo_px == 0


def test_the_shipped_model_has_the_reach_of_its_layers(root: Path) -> None:
    """Compact: 2 + 2·4 pixels at full size, 5 layers at stride 4, 3 at 8, 4 at 16 (by hand)."""
    folder = root / "models" / "compact"
    if not folder.is_dir():
        pytest.skip("no models/compact")
    left = (1 + 2) + 2 * 4 + (4 + 2 * 8) + (8 + 4 * 16) + (8 + 4) + 3 * 4
    assert reach_of((folder / "model.onnx").read_bytes()) == Reach(4, left, left - 12, 16)


def test_the_tiny_model_is_read(tiny_bundle: Bundle) -> None:
    """Pooling to 4 x 4, then 11 x 11: five cells to the left, five and one to the right."""
    assert reach_of(tiny_bundle.model_path.read_bytes()) == Reach(4, 20, 23, 4)


@pytest.mark.parametrize("kind", ["GlobalAveragePool", "Softmax", "Transpose"])
def test_what_may_look_anywhere_has_no_reach(kind: str) -> None:
    """One operator that is not known is enough: the whole scan must then be run at once."""
    onnx = pytest.importorskip("onnx", reason="the extra [train] is not installed")
    model = onnx.load_from_string(network([("conv", 3, 1, 1)])[0])
    model.graph.node[0].output[0] = "before"
    model.graph.node.insert(1, onnx.helper.make_node(kind, ["before"], ["t0"]))
    assert reach_of(model.SerializeToString()) is None


@pytest.mark.parametrize("spoil", [b"", b"\xff" * 40, b"cut short"])
def test_rubbish_has_no_reach(spoil: bytes, tiny_bundle: Bundle) -> None:
    """A file that is cut short or no model at all gives no reach and no other error."""
    model = tiny_bundle.model_path.read_bytes()
    assert reach_of(model[:-9] if spoil == b"cut short" else spoil) is None
