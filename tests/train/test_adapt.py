"""Adaptation to a site: planted threats are held back, and what is not better is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch, which is not installed")

from nii.annotations.coco import read_coco
from nii.bundle import Bundle
from nii.errors import ConfigError
from nii.evaluate.compare import Difference
from nii.evaluate.intervals import Interval
from nii.formats import write
from nii.scan import Scan
from nii.train.adapt import AdaptConfig, Sorted, adapt, run_of, sort_out, verdict_of

_BOX = ((30.0, 30.0, 150.0, 80.0),)


def _difference(gap: float, low: float, high: float) -> Difference:
    verdict = "better" if low > 0 else "worse" if high < 0 else "not decided"
    return Difference("P_d", 0.5 + gap, 0.5, gap, Interval(low, high, "bootstrap"), verdict)


def test_planted_threats_are_held_back_and_named() -> None:
    """Scans with threats among benign ones score higher: none of them teaches or measures."""
    rng = np.random.default_rng(0)
    groups = [(Path(f"{number:03}.png"),) for number in range(100)]
    planted = {groups[row] for row in (7, 40, 77)}
    scored = {
        files: (float(rng.uniform(0.5, 0.9) if files in planted else rng.beta(1, 12)), _BOX)
        for files in groups
    }
    local = sort_out(groups, scored, AdaptConfig(suspect_share=0.05))
    assert {files[0] for files in planted} <= {path for path, _ in local.suspects}
    used = {files for files, _ in (*local.teaching, *local.held)}
    assert not planted & used
    assert len(local.suspects) == 5
    assert len(local.teaching) + len(local.held) == 95
    assert not {f for f, _ in local.teaching} & {f for f, _ in local.held}


def test_scans_without_container_or_in_several_files_teach_nothing() -> None:
    """They are named as unusable, not lost."""
    groups = [(Path("a.png"),), (Path("b.png"),), (Path("c.dcs"), Path("d.dcs")), (Path("e.png"),)]
    scored = {groups[0]: (0.1, _BOX), groups[1]: (0.1, ()), groups[2]: (0.1, _BOX)}
    local = sort_out(groups, scored, AdaptConfig())
    assert set(local.unusable) == {Path("b.png"), Path("c.dcs"), Path("e.png")}


@pytest.mark.parametrize(
    ("local", "elsewhere", "word"),
    [
        (_difference(0.2, 0.1, 0.3), _difference(-0.01, -0.05, 0.03), None),
        (_difference(0.05, -0.02, 0.1), _difference(0.1, 0.05, 0.2), "not shown to be better"),
        (_difference(-0.2, -0.3, -0.1), _difference(0.1, 0.05, 0.2), "not shown to be better"),
        (_difference(0.2, 0.1, 0.3), _difference(-0.06, -0.1, -0.02), "worse elsewhere"),
        (None, _difference(0.1, 0.05, 0.2), "too few"),
    ],
)
def test_only_what_is_better_here_and_no_worse_there_is_accepted(
    local: Difference | None, elsewhere: Difference | None, word: str | None
) -> None:
    """The interval must lie above zero locally, and the loss elsewhere within the tolerance."""
    told = verdict_of(local, elsewhere, 0.02)
    assert (told is None) == (word is None)
    assert word is None or word in str(told)


def test_too_few_scans_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    """One scan to learn from is no site."""
    with pytest.raises(ConfigError, match="local scans"):
        adapt(bundle, Sorted((), (), (), ()), tmp_path, AdaptConfig())


def test_the_run_starts_from_the_bundle_and_pairs_the_local_scans(
    bundle: Bundle, tmp_path: Path
) -> None:
    """Copies of the local scans and simulated ones are listed together, and come in pairs."""
    place = tmp_path / "a.tiff"
    write(Scan(np.full((2, 96, 192), 0.5, np.float32)), place)
    local = Sorted((((place,), _BOX),), (), (), ())
    run = run_of(bundle, local, tmp_path / "work", AdaptConfig(minutes=1.0))
    assert run.initial is not None
    assert run.initial.is_file()
    assert run.train.pair_share > 0.5
    listed = read_coco(tmp_path / "work" / "annotations.json", tmp_path / "work").images
    assert {image.path.parent.name for image in listed} == {"teaching", "replay"}
    assert all(image.path.is_file() for image in listed)
    assert run.max_minutes == 1
