"""Export: the bundle computes what was trained, says what it is, and a broken one is refused."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is not installed")

import onnx
from onnx import numpy_helper

from nii.bundle import CARD_KEY, PARITY_FILE, Bundle, Card, Thresholds, read_bundle
from nii.errors import BundleError, ConfigError
from nii.infer.reach import reach_of
from nii.infer.runtime import CPU, ProviderSettings, check_card, open_bundle, open_session
from nii.infer.strips import Network, look, plan
from nii.preprocess import preprocess
from nii.scan import Scan
from nii.train import checkpoint
from nii.train.config import TrainConfig
from nii.train.export import card_of, export, parity_scans, prove
from nii.train.models import build
from nii.train.validate import Validation


def test_a_bundle_is_whole_and_carries_its_card(bundle: Bundle) -> None:
    """Digest, card inside and card beside agree, as inference checks them."""
    back = read_bundle(bundle.folder)
    check_card(open_session(back.model_path, ProviderSettings()), back.card, back.folder)
    assert (back.card.name, back.card.version) == ("tiny", "1")


def test_a_bundle_carries_its_self_test(bundle: Bundle) -> None:
    """What export recorded is small, and the provider at hand passes it."""
    path = read_bundle(bundle.folder).self_test_path
    assert path is not None
    assert path.stat().st_size < 100_000
    facts = open_bundle(bundle, ProviderSettings((CPU,))).provider
    assert str(facts.self_test).startswith("passed")


def test_parity_was_measured_on_scans_of_different_sizes(bundle: Bundle) -> None:
    """Four scans, four sizes, and the report says that it passed."""
    report = json.loads((bundle.folder / PARITY_FILE).read_text("utf-8"))
    assert report["passed"] is True
    assert len({tuple(size) for size in report["sizes"]}) == 4


def test_both_batches_and_all_sizes_are_free(bundle: Bundle) -> None:
    """Three strips of the detail run beside one overview, at a size that export never saw."""
    session = open_session(bundle.model_path, ProviderSettings())
    detail, overview = np.zeros((3, 4, 16, 80), np.float32), np.zeros((1, 4, 128, 32), np.float32)
    heat, ltrb, centre, inside, structure_ltrb, anomaly = session.run(detail, overview)
    assert anomaly.shape == (3, 1, 4, 20)
    assert heat.shape == (3, 2, 4, 20)
    assert ltrb.shape == (3, 4, 4, 20)
    assert centre.shape == inside.shape == (1, 2, 64, 16)
    assert structure_ltrb.shape == (1, 8, 64, 16)
    assert 0 <= float(heat.min()) <= float(heat.max()) <= 1


@pytest.mark.slow
def test_strips_give_the_anomaly_map_of_the_whole(bundle: Bundle, rng: np.random.Generator) -> None:
    """A scan that is cut has the anomaly map of the scan in one run, and the card says it is."""
    assert bundle.card.anomaly
    session = open_session(bundle.model_path, ProviderSettings((CPU,)))
    blocks = np.kron(rng.uniform(0.05, 1, (2, 12, 120)), np.ones((1, 8, 8)))
    scan = Scan(blocks.astype(np.float32))
    reach = reach_of(bundle.model_path.read_bytes())
    whole = Network(session.run, bundle.card, reach)
    cut = replace(whole, most_pixels=0, strip_pixels=96 * 416)
    assert len(plan(scan.height, scan.width, cut)) > 1
    one, other = (look(scan, each, time.perf_counter).maps.anomaly for each in (whole, cut))
    assert one is not None
    assert other is not None
    assert float(np.ptp(one)) > 1e-6
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_card_that_promises_another_map_is_refused(bundle: Bundle) -> None:
    """The card cannot claim an anomaly map that the model has not, nor hide one."""
    session = open_session(bundle.model_path, ProviderSettings((CPU,)))
    with pytest.raises(BundleError, match="no anomaly map"):
        check_card(session, replace(bundle.card, anomaly=False), bundle.folder)


def test_the_model_names_no_file_of_this_computer(bundle: Bundle) -> None:
    """The exporter's notes about source files are gone; batch norms are folded."""
    content = bundle.model_path.read_bytes()
    assert b"site-packages" not in content
    assert str(Path(__file__).parents[2]).encode() not in content
    model = onnx.load_from_string(content)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_plain_keys_repeat_the_card(bundle: Bundle) -> None:
    """Who cannot read the card finds classes, input and thresholds under plain names."""
    texts = {row.key: row.value for row in onnx.load(bundle.model_path).metadata_props}
    card = Card.from_json(json.loads(texts[CARD_KEY]))
    assert tuple(json.loads(texts["nii.classes"])["threats"]) == card.threats
    assert json.loads(texts["nii.thresholds"]) == card.to_json()["thresholds"]
    assert json.loads(texts["nii.scores"]) == card.to_json()["scores"]
    assert card.model_sha256 == ""


@pytest.mark.slow
def test_a_model_with_one_wrong_kernel_is_refused(
    finished_run: Path, bundle: Bundle, config: TrainConfig
) -> None:
    """The proof fails when a single kernel of the file differs from the network."""
    content = checkpoint.load(finished_run)
    network = build(content.meta.config.model, len(config.threats), len(config.structures)).eval()
    network.load_state_dict(content.average)
    card = card_of(content.meta, "tiny")
    seen = [preprocess(scan, card.preprocess) for scan in parity_scans(config, 1)]
    model = onnx.load(bundle.model_path)
    assert prove(network, model.SerializeToString(), seen, card).passed
    kernel = next(part for part in model.graph.initializer if len(part.dims) == 4)
    values = numpy_helper.to_array(kernel) + np.float32(1)
    kernel.CopyFrom(numpy_helper.from_array(values, kernel.name))
    with pytest.raises(BundleError, match="unlike PyTorch"):
        prove(network, model.SerializeToString(), seen, card)


def test_the_card_tells_limits_and_origin(finished_run: Path, config: TrainConfig) -> None:
    """Simulated data, steps and the data of the measurement are stated."""
    meta = checkpoint.load(finished_run).meta
    card = card_of(meta, "x")
    assert any("simulated" in limit for limit in card.limits)
    assert card.metrics["measured on"].startswith("4 scans out of 4 simulated scans")
    assert any("4 steps" in step for step in card.provenance["steps"])
    fresh = card_of(checkpoint.Meta(config, provenance=meta.provenance), "x")
    assert any("never validated" in limit for limit in fresh.limits)


def test_a_later_validation_replaces_the_one_in_the_checkpoint(finished_run: Path) -> None:
    """Metrics and thresholds of the card are those that were given."""
    meta = checkpoint.load(finished_run).meta
    levels = dict.fromkeys(meta.config.threats, 0.5)
    later = Validation({"scans": 9.0, "ap50_threats": 0.25}, Thresholds(levels, levels), 0.25)
    card = card_of(meta, "x", validation=later)
    assert card.metrics["ap50_threats"] == 0.25
    assert card.metrics["measured on"].startswith("9 scans")
    assert card.thresholds.look["brick"] == 0.5


def test_nothing_to_export_is_an_error(tmp_path: Path) -> None:
    """An empty folder is no run."""
    with pytest.raises(ConfigError, match="no checkpoint"):
        export(tmp_path, tmp_path / "bundle")
