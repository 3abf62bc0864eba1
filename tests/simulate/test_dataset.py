"""Tests of :mod:`nii.simulate.dataset`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nii import formats
from nii.annotations import coco
from nii.errors import ConfigError
from nii.simulate.dataset import DatasetConfig, write_dataset
from nii.simulate.scene import SceneConfig
from nii.simulate.source import SimulateConfig, simulate

SMALL = DatasetConfig(
    SimulateConfig(scene=SceneConfig(height_px=(160, 180), pitch_mm=(20.0, 24.0))), seed=4, count=3
)


@pytest.mark.slow
def test_what_is_written_is_what_was_simulated(tmp_path: Path) -> None:
    """Scans and labels read from the folder equal those of the stream, to a step of 16 bits."""
    labels = coco.read_coco(write_dataset(tmp_path, SMALL, workers=0), tmp_path, verify=True)
    made = simulate(4, 2, SMALL.simulate)
    scan = formats.read(labels.images[2].path)
    limited = np.minimum(made.scan.transmission, scan.transmission.max())
    np.testing.assert_allclose(scan.transmission, limited, atol=1 / 65535)
    np.testing.assert_allclose(labels.images[2].truth.boxes_xyxy, made.truth.boxes_xyxy, atol=0.01)
    facts = labels.images[2].objects
    kinds = [a or b for a, b in zip(made.threat_kinds, made.structure_kinds, strict=True)]
    assert [one.kind for one in facts] == kinds
    assert [one.material for one in facts] == list(made.threat_materials)
    assert made.threat_masses_kg is not None
    masses = [np.nan if one.mass_kg is None else one.mass_kg for one in facts]
    np.testing.assert_allclose(masses, made.threat_masses_kg, atol=1e-3)


@pytest.mark.slow
def test_a_run_goes_on_where_it_was_cut(tmp_path: Path) -> None:
    """A scan whose label is missing is made again, the same; the others are not touched."""
    write_dataset(tmp_path, SMALL, workers=0)
    kept = (tmp_path / "scans" / "000000.tiff").stat().st_mtime_ns
    before = (tmp_path / "scans" / "000001.tiff").read_bytes()
    (tmp_path / "labels" / "000001.json").unlink()
    (tmp_path / "scans" / "000001.tiff").unlink()
    calls: list[tuple[int, int]] = []
    write_dataset(tmp_path, SMALL, workers=0, on_progress=lambda done, n: calls.append((done, n)))
    assert calls == [(2, 3), (3, 3)]
    assert (tmp_path / "scans" / "000001.tiff").read_bytes() == before
    assert (tmp_path / "scans" / "000000.tiff").stat().st_mtime_ns == kept


@pytest.mark.slow
def test_other_settings_are_refused(tmp_path: Path) -> None:
    """Scans of two different settings never mix in one folder."""
    write_dataset(tmp_path, SMALL, workers=0)
    with pytest.raises(ConfigError, match="other settings"):
        write_dataset(tmp_path, DatasetConfig(SMALL.simulate, seed=5, count=3), workers=0)


@pytest.mark.slow
def test_several_processes_write_the_same_scans(tmp_path: Path) -> None:
    """Two processes and none give byte-identical files."""
    one, two = tmp_path / "one", tmp_path / "two"
    write_dataset(one, SMALL, workers=0)
    write_dataset(two, SMALL, workers=2)
    for path in sorted((one / "scans").iterdir()):
        assert path.read_bytes() == (two / "scans" / path.name).read_bytes()
