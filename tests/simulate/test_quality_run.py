"""Quality run: words become subjects, each once, and a bad file does not stop the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nii import formats
from nii.errors import ConfigError
from nii.scan import Scan
from nii.simulate.discrimination import DiscriminationConfig
from nii.simulate.observers import ObserverConfig
from nii.simulate.quality import TESTS
from nii.simulate.quality_preset import QualityConfig
from nii.simulate.quality_run import Named, find_subjects, measure

FEW = QualityConfig(
    ObserverConfig(draws=4, wire_draws=2, contrast_draws=4, step_mm=300.0),
    DiscriminationConfig(calibration_draws=1, draws=1),
)


def scan_in(folder: Path) -> Path:
    """Write a small scan and return its path."""
    plane = np.random.default_rng(0).normal(0.99, 0.004, (1, 96, 128)).astype(np.float32)
    path = folder / "scan.tiff"
    formats.write(Scan(plane), path)
    return path


def test_presets_files_and_folders_are_found(tmp_path: Path) -> None:
    """A preset by name, a file by path, a folder by what is in it; nothing twice."""
    path = scan_in(tmp_path)
    found = find_subjects(["linac_6", str(tmp_path), str(path), "linac_6"])
    assert found == (Named("linac_6"), Named("scan.tiff", (path,)))


def test_an_unknown_word_is_refused() -> None:
    """Neither preset nor path: the presets are named."""
    with pytest.raises(ConfigError, match="linac_9_6"):
        find_subjects(["linac_7"])


@pytest.mark.slow
def test_a_bad_file_is_a_failure_among_others(tmp_path: Path) -> None:
    """The broken scan gives its reason, and the rest is measured; progress ends at the end."""
    path = scan_in(tmp_path)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    told: list[tuple[int, int, str]] = []
    named = find_subjects([str(tmp_path), "linac_6"])
    subjects = list(measure(named, lambda *step: told.append(step), FEW))
    assert [subject.name for subject in subjects] == ["broken.png", path.name, "linac_6"]
    assert [bool(subject.failure) for subject in subjects] == [True, False, False]
    assert told[-1][0] == told[-1][1] == 2 + len(TESTS)
