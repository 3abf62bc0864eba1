"""Fewer bits: the guard admits what does no harm and refuses what does; the runner tells both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="the extra [train] is not installed")
pytest.importorskip("torch", reason="the extra [train] is not installed")

from nii.bundle import Bundle, VariantSpec, read_bundle
from nii.errors import BundleError, ConfigError
from nii.infer.detect import Detector
from nii.infer.runtime import CPU, ProviderSettings
from nii.train import quantize
from nii.train.quantize import Labelled, harm

ADMITTED = VariantSpec("", "", 10, 200, p_d=0.9, p_d_full=0.904, boxes_agree=0.97)


def test_the_guard_knows_both_limits() -> None:
    """Half a point of P_d is allowed and more is not; nor are regions that differ."""
    assert harm(ADMITTED) is None
    assert "P_d falls" in str(harm(replace(ADMITTED, p_d=0.89)))
    assert "regions agree" in str(harm(replace(ADMITTED, boxes_agree=0.9)))


@pytest.mark.slow
def test_variants_are_written_and_run(
    bundle: Bundle, scans: list[Labelled], tmp_path: Path
) -> None:
    """A bundle with variants is whole; the runner runs the one that is named, and says so."""
    written, refusals = quantize.quantize(bundle, tmp_path / "light", ("int8", "fp16"), scans)
    assert not refusals
    found = read_bundle(written.folder)
    assert set(found.card.variants) == {"int8", "fp16"}
    assert "In fewer bits" in (found.folder / "card.md").read_text("utf-8")
    for precision in ("fp32", "int8", "fp16"):
        settings = ProviderSettings((CPU,), threads=1, precision=precision)
        detector = Detector.open(found.folder, settings)
        assert detector.provider.precision == precision
        assert "passed" in str(detector.provider.self_test)
        detector.detect(scans[0][0])
    free = Detector.open(found.folder, ProviderSettings((CPU,), threads=1)).provider
    assert free.precision == "int8" or any(text.startswith("int8") for text in free.rejected)
    with pytest.raises(ConfigError, match="precision"):
        Detector.open(bundle.folder, ProviderSettings((CPU,), precision="int8"))
    path = found.variant_paths("int8")[0]
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BundleError, match="SHA-256"):
        read_bundle(found.folder)


@pytest.mark.slow
def test_a_harmful_variant_is_left_out(
    bundle: Bundle, scans: list[Labelled], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variant that the guard refuses is not in the bundle, and the reason is told."""
    monkeypatch.setattr(quantize, "LEAST_AGREEMENT", 1.1)
    written, refusals = quantize.quantize(bundle, tmp_path / "light", ("fp16",), scans)
    assert not written.card.variants
    assert "regions agree" in str(refusals[0])
    assert not list(written.folder.glob("*fp16*"))


@pytest.mark.slow
def test_wrong_wishes_are_refused(bundle: Bundle, scans: list[Labelled], tmp_path: Path) -> None:
    """An unknown precision and scans without a threat are errors that name them."""
    with pytest.raises(ConfigError, match="int3"):
        quantize.quantize(bundle, tmp_path / "a", ("int3",), scans)
    with pytest.raises(ConfigError, match="no scan with a threat"):
        quantize.quantize(bundle, tmp_path / "b", ("fp16",), scans[:1])
