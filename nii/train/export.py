"""Checkpoint → model bundle: ONNX with its card inside, proved equal to the trained network."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from torch import Tensor, nn

import nii
from nii.bundle import Beside, Bundle, Card, Thresholds, metadata_of, write_bundle
from nii.config import from_dict
from nii.errors import BundleError
from nii.infer import selftest
from nii.infer.decode import OutputMaps
from nii.infer.runtime import CPU, INPUTS, ProviderSettings, open_session
from nii.infer.selftest import outputs_of
from nii.preprocess import CHANNELS, ModelInput, preprocess
from nii.provenance import Provenance
from nii.scan import Scan
from nii.train import checkpoint, weights
from nii.train.card import draft_card
from nii.train.checkpoint import Meta
from nii.train.config import TrainConfig
from nii.train.dataset import validation_scans
from nii.train.models import build
from nii.train.origin import describe
from nii.train.parity import Parity, compare
from nii.train.validate import Validation, output_maps

OPSET = 18
_DETAIL_AXES = ("detail_batch", "height", "width")
_OVERVIEW_AXES = ("overview_batch", "overview_height", "overview_width")
_INTENDED_USE = (
    "Point an officer to places in a cargo X-ray scan that deserve a look. It advises; it never "
    "clears a scan, and the officer decides."
)
_LOG = logging.getLogger(__name__)


class Probabilities(nn.Module):
    """A network whose logits are turned into probabilities."""

    def __init__(self, network: nn.Module) -> None:
        """Wrap a network of logits."""
        super().__init__()
        self.network = network

    def forward(self, detail: Tensor, overview: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of the model contract."""
        heat, ltrb, centre, inside, structure_ltrb, *anomaly = self.network(detail, overview)
        maps = (heat.sigmoid(), ltrb, centre.sigmoid(), inside.sigmoid(), structure_ltrb)
        return maps + tuple(part.sigmoid() for part in anomaly)


def export(
    run: Path,
    bundle: Path,
    *,
    name: str | None = None,
    version: str | None = None,
    validation: Validation | None = None,
    scans: int = 4,
) -> Bundle:
    """Write a bundle from a run, after proving that it computes what was trained.

    Args:
        run: folder of a run (its best checkpoint, or the last where none is best), or a checkpoint.
        bundle: folder to write; a bundle that is there is replaced.
        name: of the model; the name of the folder where it is not given.
        version: of the model; that of nii and the step where it is not given.
        validation: metrics and thresholds for the card; those of the checkpoint where not given.
        scans: validation scans on which the two are compared; at least one.

    Raises:
        ConfigError: there is no sound checkpoint.
        BundleError: the exported model differs from the trained network, or the folder is taken.
    """
    network, meta = trained(run)
    card = card_of(meta, name or bundle.name, version, validation)
    model = to_onnx(network, card)
    seen = [preprocess(scan, card.preprocess) for scan in parity_scans(meta.config, scans)]
    parity = prove(network, model, seen, card)
    kept = weights.to_bytes(network.state_dict(), meta.config)
    test = self_test_of(model, card)
    return write_bundle(bundle, card, model, parity.to_json(), test, Beside(weights=kept))


def trained(run: Path) -> tuple[nn.Module, Meta]:
    """Return the averaged network of a run, ready to use on the CPU, and what is known of it.

    Args:
        run: folder of a run (its best checkpoint, or the last where none is best), or a checkpoint.

    Raises:
        ConfigError: there is no sound checkpoint.
    """
    content = checkpoint.load(checkpoint.chosen(run))
    config = content.meta.config
    network = build(config.model, len(config.threats), len(config.structures))
    network.load_state_dict(content.average)
    return network.eval(), content.meta


def card_of(
    meta: Meta, name: str, version: str | None = None, validation: Validation | None = None
) -> Card:
    """Return the card of what a checkpoint holds; a later validation replaces the one in it."""
    config = meta.config
    suggested = from_dict(Thresholds, meta.thresholds) if meta.thresholds else None
    if validation is not None:
        meta, suggested = replace(meta, metrics=validation.metrics), validation.thresholds
    metrics = {key: round(value, 4) for key, value in meta.metrics.items() if value is not None}
    made = Provenance.from_json(meta.provenance)
    made = made.with_step(f"{meta.step} steps in {meta.elapsed_s / 60:.0f} minutes")
    return replace(
        draft_card(config, suggested),
        name=name,
        version=version or f"{nii.__version__}+{meta.step}",
        provenance=made.with_step(f"exported to ONNX, opset {OPSET}").to_json(),
        metrics=_told(metrics, config),
        load=validation.load if validation else None,
        intended_use=_INTENDED_USE,
        limits=_limits(config, simulated=made.settings["simulated"], measured=bool(metrics)),
    )


def to_onnx(network: nn.Module, card: Card) -> bytes:
    """Return the ONNX file of a network of logits, with the card inside.

    Height, width and both batches are free; batch norms are folded into the convolutions.
    """
    rows, columns = 4 * card.preprocess.detail_multiple, 6 * card.preprocess.detail_multiple
    overview = (card.preprocess.overview_height, 3 * card.preprocess.overview_multiple)
    example = (
        torch.zeros(2, len(CHANNELS), rows, columns),
        torch.zeros(3, len(CHANNELS), *overview),
    )
    free = {
        "detail": {0: _DETAIL_AXES[0], 2: _DETAIL_AXES[1], 3: _DETAIL_AXES[2]},
        "overview": {0: _OVERVIEW_AXES[0], 3: _OVERVIEW_AXES[2]},
    }
    program = torch.onnx.export(
        Probabilities(network).eval(),
        example,
        dynamo=True,
        dynamic_shapes=free,
        input_names=list(INPUTS),
        output_names=list(outputs_of(anomaly=card.anomaly)),
        opset_version=OPSET,
        external_data=False,
        verbose=False,
    )
    if program is None:
        raise BundleError(
            "export", found="no ONNX program", expected="one", remedy="Report this as a bug."
        )
    model = _anonymous(program.model_proto)
    _name_axes(model.graph)
    onnx.helper.set_model_props(model, metadata_of(card))
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def prove(network: nn.Module, model: bytes, seen: list[ModelInput], card: Card) -> Parity:
    """Compare a network with its ONNX file, run as inference runs it.

    Raises:
        BundleError: they differ.
    """
    session = open_session(model, ProviderSettings(providers=(CPU,)))

    def exported(view: ModelInput) -> OutputMaps:
        maps = session.run(view.detail[None], view.overview[None])
        return OutputMaps(*(part[0] for part in maps))

    parity = compare(lambda view: output_maps(network, view), exported, seen, card)
    if not parity.passed:
        worst = max(parity.maps, key=lambda row: row.largest_relative, default=None)
        difference = f"{worst.output} off by up to {worst.largest:.2g}" if worst else "no scan"
        boxes = "the same boxes" if parity.boxes_agree else "other boxes"
        raise BundleError(
            "parity",
            found=f"ONNX unlike PyTorch: {difference}, {boxes}",
            expected="the same maps and boxes",
            remedy="Export again with other versions of torch and onnxscript; nothing was written.",
        )
    _LOG.info("PyTorch and ONNX agree on %d scans", len(seen))
    return parity


def self_test_of(model: bytes, card: Card) -> bytes:
    """Return what every machine that runs the model later shall compute; see `selftest`."""
    session = open_session(model, ProviderSettings(providers=(CPU,)))
    return selftest.to_bytes(selftest.record(session.run, card.preprocess))


def parity_scans(config: TrainConfig, count: int) -> Iterator[Scan]:
    """Yield validation scans of different sizes; where two sizes are the same, one is cut."""
    sizes: set[tuple[int, int]] = set()
    pool = [scan for scan, _ in islice(validation_scans(config.validation), count)]
    for index, scan in enumerate(islice(cycle(pool), count)):
        height, width = scan.height, scan.width
        if (height, width) in sizes:
            height -= height * index // (2 * count)
            width -= width * index // (2 * count)
        sizes.add((height, width))
        part = np.ascontiguousarray(scan.transmission[:, :height, :width])
        yield replace(scan, transmission=part)


def _told(metrics: dict[str, Any], config: TrainConfig) -> dict[str, Any]:
    if not metrics:
        return {}
    scans = int(metrics.pop("scans"))
    return {"measured on": f"{scans} scans out of {describe(config.validation)}"} | metrics


def _limits(config: TrainConfig, *, simulated: bool, measured: bool) -> tuple[str, ...]:
    limits = []
    if simulated:
        limits.append("Trained on simulated scans only: nothing is promised about a real scanner.")
    else:
        limits.append("Trained on scans of others: their licence decides who may have this model.")
    if config.train.detail:
        limits.append("It finds the classes it was taught; other contraband it does not know.")
    else:
        limits.append("Threats were not taught: it finds containers and vehicles only.")
    if not measured:
        limits.append("It was never validated.")
    return tuple(limits)


def _anonymous(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter writes about source files and folders of this computer."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        part.doc_string = ""
        del part.metadata_props[:]
    del graph.value_info[:]
    model.producer_name, model.producer_version = "nii", nii.__version__
    return model


def _name_axes(graph: onnx.GraphProto) -> None:
    """Name the free axes of the outputs after those of the inputs they follow."""
    for output in graph.output:
        threat = not output.name.startswith("structure")
        axes, stride = (_DETAIL_AXES, 4) if threat else (_OVERVIEW_AXES, 2)
        dims = output.type.tensor_type.shape.dim
        for dim, axis in ((dims[2], axes[1]), (dims[3], axes[2])):
            if dim.dim_param:
                dim.dim_param = f"{axis}/{stride}"
