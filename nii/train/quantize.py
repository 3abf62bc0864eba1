"""Fewer bits: INT8 and FP16 variants of a model, admitted where calibration scans show no harm.

INT8 is static and per channel, with QDQ nodes, and touches convolutions only. Sums of residuals
stay in full precision, and so do the first convolutions behind an input, where a small contrast is
all there is, and the last one of every output, because an exponential follows some of them.
Measured on the compact model, the mean error of heat above 0.1 falls from 0.0082 to 0.0025 by that.
Weights use 7 bits: processors without VNNI add two products in 16 bits and would overflow with 8.
FP16 keeps inputs and outputs in 32 bits.

The only importer of ONNX Runtime beside nii.infer.runtime, and of its build tools only: those need
the package onnx, which belongs to this floor. Sessions are still opened there alone.

Reference: Jacob et al. 2018, Quantization and training of neural networks for efficient
integer-arithmetic-only inference; ONNX Runtime documentation, "Quantize ONNX models".
"""

from __future__ import annotations

import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
from jaxtyping import Float32
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

from nii import boxes as geometry
from nii import taxonomy
from nii.bundle import LIGHTER, PARITY_FILE, Beside, Bundle, Card, VariantSpec, write_bundle
from nii.detections import Detections
from nii.errors import ConfigError
from nii.evaluate.match import HIT, matched
from nii.infer import selftest
from nii.infer.decode import Frame, OutputMaps, decode
from nii.infer.runtime import CPU, ProviderSettings, Session, open_session
from nii.preprocess import ModelInput, PreprocessSpec, preprocess
from nii.provenance import sha256_of_bytes
from nii.scan import Scan

Labelled = tuple[Scan, Detections]
"""A scan and what is in it."""

MOST_DROP = 0.005
"""Largest loss of P_d at the look thresholds: half a point (issue 5 of the project)."""
LEAST_AGREEMENT = 0.95
"""Smallest share of the regions of either model that the other has too: assumption. A region whose
score lies at the threshold may fall to either side."""
_SAME_IOU = 0.7
"""Overlap from which two regions of one class are the same: assumption."""
_FIRST = 4
"""Convolutions behind an input that stay in full precision."""
_CALIBRATED = 8
"""Scans whose activations are measured."""
_CALIBRATED_PX = 512
"""Side of the detail that is looked at in each: all kinds of cargo in seconds."""
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A variant that was not admitted, and why."""

    precision: str
    reason: str

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.precision} is refused: {self.reason}"


def quantize(
    bundle: Bundle, out: Path, precisions: Sequence[str], scans: Sequence[Labelled]
) -> tuple[Bundle, tuple[Refusal, ...]]:
    """Write a bundle again with variants of its model; those that do harm are left out.

    Args:
        bundle: an intact bundle.
        out: folder to write; it may be that of the bundle. A signature is not taken over.
        precisions: some of `nii.bundle.LIGHTER`.
        scans: calibration scans with their truth.

    Raises:
        ConfigError: a precision is not known, or no calibration scan shows a threat.
        BundleError: the folder holds something else.
    """
    unknown = sorted(set(precisions) - set(LIGHTER))
    if unknown:
        raise ConfigError(
            "--quantize",
            found=", ".join(unknown),
            expected=f"some of {', '.join(LIGHTER)}, joined by commas",
            remedy="Correct the name.",
        )
    card, full = bundle.card, bundle.model_path.read_bytes()
    seen = [(preprocess(scan, card.preprocess), truth) for scan, truth in scans]
    variants, specs, refusals = {}, {}, []
    for precision in precisions:
        model = MAKERS[precision](full, [view for view, _ in seen], card.preprocess)
        spec = compared(full, model, seen, card)
        reason = harm(spec)
        if reason:
            refusals.append(Refusal(precision, reason))
            continue
        session = open_session(model, ProviderSettings((CPU,)))
        test = selftest.to_bytes(selftest.record(session.run, card.preprocess))
        variants[precision], specs[precision] = (
            (model, test),
            replace(
                spec, model_sha256=sha256_of_bytes(model), self_test_sha256=sha256_of_bytes(test)
            ),
        )
        _LOG.info("%s: P_d %.4f against %.4f", precision, spec.p_d, spec.p_d_full)
    parity = json.loads((bundle.folder / PARITY_FILE).read_text("utf-8"))
    test_path = bundle.self_test_path
    own = test_path.read_bytes() if test_path else None
    complete = replace(card, variants=specs)
    kept = bundle.weights_path.read_bytes() if bundle.weights_path else None
    beside = Beside(variants, kept)
    return write_bundle(out, complete, full, parity, own, beside), tuple(refusals)


def to_int8(full: bytes, seen: Sequence[ModelInput], spec: PreprocessSpec) -> bytes:
    """Return a model with 8-bit weights and activations, measured on scans."""
    if not seen:
        raise _no_scans()
    proto = onnx.load_from_string(full)
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        source, ready, target = (Path(name, part) for part in ("a.onnx", "b.onnx", "c.onnx"))
        source.write_bytes(full)
        quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(target),
            _Views(seen[:_CALIBRATED], spec),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=kept_convolutions(onnx.load(str(ready))),
        )
        return _finished(onnx.load(str(target)), proto)


def to_fp16(full: bytes, seen: Sequence[ModelInput], spec: PreprocessSpec) -> bytes:  # noqa: ARG001
    """Return a model that computes with 16-bit numbers; no scan is needed for that."""
    proto = onnx.load_from_string(full)
    with warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        light = convert_float_to_float16(onnx.load_from_string(full), keep_io_types=True)
    return _finished(light, proto)


def compared(
    full: bytes, model: bytes, seen: Sequence[tuple[ModelInput, Detections]], card: Card
) -> VariantSpec:
    """Return what two models find in the same scans, from the look thresholds on.

    Raises:
        ConfigError: no scan shows a threat.
    """
    sessions = [open_session(one, ProviderSettings((CPU,))) for one in (full, model)]
    threats, hit, shared = 0, np.zeros(2, np.int64), np.zeros(2, np.int64)
    for view, truth in seen:
        real = truth.select(np.isin(truth.class_ids, card.threat_ids))
        found = [_regions(session, view, card) for session in sessions]
        threats += len(real)
        hit += [int(matched(one, real, HIT).any(axis=0).sum()) for one in found]
        shared += (_shared(*found), len(found[0]) + len(found[1]))
    if not threats:
        raise _no_scans()
    p_d_full, p_d = (int(count) / threats for count in hit)
    agree = int(shared[0]) / int(shared[1]) if shared[1] else 1.0
    return VariantSpec("", "", len(seen), threats, p_d, p_d_full, agree)


def harm(spec: VariantSpec) -> str | None:
    """Return why a variant is not admitted; None where it is."""
    drop = spec.p_d_full - spec.p_d
    if drop > MOST_DROP:
        return (
            f"P_d falls from {spec.p_d_full:.4f} to {spec.p_d:.4f} on {spec.threats} threats, by "
            f"more than {MOST_DROP}"
        )
    if spec.boxes_agree < LEAST_AGREEMENT:
        return f"only {spec.boxes_agree:.4f} of the regions agree, not {LEAST_AGREEMENT}"
    return None


def kept_convolutions(model: onnx.ModelProto) -> list[str]:
    """Return the convolutions that stay in full precision: the first of each input, the last."""
    makers = {name: node for node in model.graph.node for name in node.output}
    depth: dict[str, int] = {}
    kept = []
    for node in model.graph.node:  # in the order of computation
        is_convolution = node.op_type == "Conv"
        deepest = max((depth.get(name, 0) for name in node.input), default=0) + is_convolution
        depth.update(dict.fromkeys(node.output, deepest))
        if is_convolution and deepest <= _FIRST:
            kept.append(node.name)
    for output in model.graph.output:
        node = makers.get(output.name)
        while node is not None and node.op_type != "Conv":
            node = next((makers[name] for name in node.input if name in makers), None)
        kept += [node.name] if node is not None else []
    return kept


MAKERS: Mapping[str, Callable[[bytes, Sequence[ModelInput], PreprocessSpec], bytes]] = {
    "int8": to_int8,
    "fp16": to_fp16,
}


class _Views(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime ships no types
    """What quantisation looks at: the middle of the detail and the whole overview."""

    def __init__(self, seen: Sequence[ModelInput], spec: PreprocessSpec) -> None:
        self._views = self._made(seen, spec)

    def get_next(self) -> dict[str, Float32[np.ndarray, "1 c h w"]] | None:
        """Return the next input, or None after the last."""
        return next(self._views, None)

    @staticmethod
    def _made(
        seen: Sequence[ModelInput], spec: PreprocessSpec
    ) -> Iterator[dict[str, Float32[np.ndarray, "1 c h w"]]]:
        side = _CALIBRATED_PX // spec.detail_multiple * spec.detail_multiple
        for view in seen:
            y, x = (max(0, size - side) // 2 for size in view.detail.shape[1:])
            detail = np.ascontiguousarray(view.detail[None, :, y : y + side, x : x + side])
            yield {"detail": detail, "overview": view.overview[None]}


def _regions(session: Session, view: ModelInput, card: Card) -> Detections:
    """Return the threats from the look thresholds on."""
    maps = session.run(view.detail[None], view.overview[None])
    frame = Frame(view.height, view.width, view.overview_scale)
    found = decode(OutputMaps(*(part[0] for part in maps)), card, frame)
    bars = {taxonomy.by_name(name).class_id: bar for name, bar in card.thresholds.look.items()}
    least = np.asarray([bars.get(int(kind), np.inf) for kind in found.class_ids], np.float32)
    return found.select(found.scores >= least)


def _shared(first: Detections, second: Detections) -> int:
    """Return how many regions of either have one of the same class and place in the other."""
    alike = (geometry.iou(first.boxes_xyxy, second.boxes_xyxy) >= _SAME_IOU) & (
        first.class_ids[:, None] == second.class_ids[None, :]
    )
    return int(alike.any(axis=1).sum() + alike.any(axis=0).sum())


def _finished(light: onnx.ModelProto, full: onnx.ModelProto) -> bytes:
    """Return the file of a variant, with the card that the full model carries."""
    del light.metadata_props[:]
    light.metadata_props.extend(full.metadata_props)
    light.producer_name, light.producer_version = full.producer_name, full.producer_version
    return bytes(light.SerializeToString())


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the advice of the build tools, which is written for others, out of the log."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _no_scans() -> ConfigError:
    return ConfigError(
        "--calibration",
        found="no scan with a threat",
        expected="labelled scans with threats, on which the variants are compared",
        remedy="Name a folder that nii simulate made, or your own with a COCO file.",
    )
