"""Fixtures that every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from nii.bundle import Bundle, Card, DecodeSpec, Thresholds, write_bundle
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance

ROOT = Path(__file__).resolve().parents[1]

# albumentations asks the network for a newer version when it is imported, unless told not to.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
# ONNX Runtime reports to its makers from its import on; nii switches that off, tests do it first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# The first example pays for imports and type checks, so a deadline would fail at random; the same
# examples come every time, so that a failure on one machine is a failure on all.
settings.register_profile(
    "nii",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("nii")


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator of random numbers that starts the same in every test."""
    return np.random.default_rng(20261122)


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the keys and caches of the user."""
    for variable, name in (("NII_TRUST", "trust"), ("NII_CACHE", "cache")):
        monkeypatch.setenv(variable, str(tmp_path_factory.getbasetemp() / name))


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., Bundle]:
    """Return how a bundle is written whose model is no network: nobody runs it."""
    threats = ("firearm",)
    card = Card(
        name="plain",
        version="1.0",
        threats=threats,
        structures=("vehicle", "container"),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds(dict.fromkeys(threats, 0.3), dict.fromkeys(threats, 0.7)),
        provenance=Provenance().to_json(),
    )

    def make(folder: Path, version: str = "1.0") -> Bundle:
        fresh = replace(card, version=version)
        return write_bundle(folder, fresh, b"no network", {"passed": True}, b"no self-test")

    return make


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder with real scans, or skip where there is none."""
    folder = Path(os.environ.get("NII_REAL_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip("real data not found, skipped")
    return folder


@pytest.fixture
def cuda() -> str:
    """Return the name of the torch device for GPU tests, or skip with the reason."""
    torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    return "cuda"
