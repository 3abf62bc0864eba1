"""Weights in a bundle: training can go on from them, and nothing of them is lost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.bundle import WEIGHTS_FILE, Beside, Bundle, read_bundle, write_bundle
from nii.errors import BundleError
from nii.train import checkpoint, weights
from nii.train.checkpoint import LAST
from nii.train.models import build
from nii.train.run import begin


@pytest.mark.slow
def test_training_goes_on_from_what_was_exported(
    bundle: Bundle, finished_run: Path, tmp_path: Path
) -> None:
    """The checkpoint made of a bundle holds the averaged weights of the run, bit for bit."""
    settings, path = weights.start(read_bundle(bundle.folder), tmp_path)
    before = checkpoint.load(finished_run / LAST)
    after = checkpoint.load(path)
    assert settings.model == before.meta.config.model
    assert settings.train.source == "simulate"
    assert before.average.keys() == after.average.keys()
    for name, part in before.average.items():
        assert np.array_equal(part.numpy(), after.average[name].numpy())
    network = build(settings.model, len(settings.threats), len(settings.structures))
    assert begin(network, path) == ""  # nothing had to be drawn afresh


def test_altered_weights_are_noticed(bundle: Bundle, tmp_path: Path) -> None:
    """The card holds their digest; a bundle without them cannot be trained on."""
    whole = bundle.weights_path
    assert whole is not None
    model = bundle.model_path.read_bytes()
    bare = write_bundle(tmp_path / "bare", bundle.card, model, {})
    with pytest.raises(BundleError, match=r"no weights\.npz"):
        weights.start(bare, tmp_path)
    kept = write_bundle(
        tmp_path / "kept", bundle.card, model, {}, None, Beside({}, whole.read_bytes())
    )
    (kept.folder / WEIGHTS_FILE).write_bytes(whole.read_bytes()[:-1])
    with pytest.raises(BundleError, match="altered"):
        read_bundle(kept.folder)
