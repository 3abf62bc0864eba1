"""Blending: the mean of two networks of one kind, and a story that says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.errors import ConfigError
from nii.provenance import Provenance
from nii.train import checkpoint
from nii.train.blend import BLENDED, blended, mean_of
from nii.train.export import trained


@pytest.mark.slow
def test_every_weight_is_the_mean_and_the_story_says_so(finished_run: Path, tmp_path: Path) -> None:
    """Counts of batches stay whole numbers; what was measured before is no longer told."""
    run = checkpoint.load(checkpoint.chosen(finished_run))
    other = {
        name: part + 2 if part.is_floating_point() else part + 7
        for name, part in run.average.items()
    }
    first = checkpoint.save(tmp_path, "first.pt", replace(run, average=other, network=other))
    path = blended(first, finished_run, tmp_path / "out")
    assert path == tmp_path / "out" / BLENDED
    network, meta = trained(path)
    for name, part in network.state_dict().items():
        moved = 1 if part.is_floating_point() else 0
        torch.testing.assert_close(part, run.average[name] + moved)
    assert meta.step == run.meta.step
    assert not meta.metrics
    assert "the mean of the weights" in Provenance.from_json(meta.provenance).steps[-1]


def test_networks_of_different_sizes_are_not_blended() -> None:
    """Another name or another shape is an error that says what to do."""
    one = {"a": torch.zeros(2)}
    for other in ({"a": torch.zeros(3)}, {"b": torch.zeros(2)}):
        with pytest.raises(ConfigError, match="began from"):
            mean_of(one, other, Path("x"))
