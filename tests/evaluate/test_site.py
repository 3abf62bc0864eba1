"""A site's answers: which threat was found where, kept for a resumed run, and nothing twice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from nii import formats, taxonomy
from nii.card import Card, DecodeSpec, Thresholds
from nii.detections import Detections
from nii.errors import ConfigError
from nii.evaluate.containers import container_table
from nii.evaluate.site import (
    SETTINGS_FILE,
    Answer,
    Answers,
    Known,
    answers,
    judged_site,
    seen_containers,
)
from nii.inspection import ModelFacts, ProviderFacts
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance
from nii.scan import AnyScan, Scan
from nii.simulate.projection import ProjectionConfig

_NAMES = ("firearm",)
_CONTAINER = (10.0, 10.0, 290.0, 140.0)
_SPOT = (40.0, 40.0, 70.0, 60.0)


class Stare:
    """A detector that always sees the same container, and a weaker one."""

    card = Card(
        name="stare",
        version="1",
        threats=_NAMES,
        structures=("vehicle", "container"),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds({"firearm": 0.3}, {"firearm": 0.7}),
        provenance=Provenance().to_json(),
    )
    model = ModelFacts("stare", "1", "1" * 64)
    provider = ProviderFacts((), (), (), "cpu", None)

    def __init__(self, scores: tuple[float, ...] = (0.9, 0.2)) -> None:
        """Keep the scores of the containers."""
        self._scores = scores
        self.asked = 0

    def detect(self, scan: AnyScan) -> tuple[Detections, Mapping[str, float]]:
        """Return the containers."""
        assert scan.width == 300
        self.asked += 1
        kind = taxonomy.by_name("container").class_id
        count = len(self._scores)
        boxes = np.asarray([_CONTAINER] * count, np.float32).reshape(-1, 4)
        return Detections(
            boxes, np.asarray(self._scores, np.float32), np.full(count, kind, np.int64)
        ), {}


def _row(**changes: object) -> Answer:
    fixed: dict[str, object] = {
        "name": "a",
        "scanner": None,
        "pitch_mm": (5.0, 5.0),
        "containers_xyxy": (_CONTAINER, (300.0, 10.0, 580.0, 140.0)),
        "benign": (((400.0, 40.0, 420.0, 60.0), 0.4, "firearm"),),
        "threats": ((_SPOT, 0.8, "firearm"),),
        "truth": ((_SPOT, "firearm"),),
        "behind_g_per_cm2": (6.0,),
        "grey": (120.0,),
    }
    return Answer(**(fixed | changes))  # type: ignore[arg-type]


@pytest.fixture
def groups(tmp_path: Path) -> tuple[tuple[Path, ...], ...]:
    """Return a readable scan and one that is not."""
    load = np.exp(-np.full((2, 150, 300), 0.4)).astype(np.float32)
    noise = np.random.default_rng(0).normal(0, 1e-3, load.shape).astype(np.float32)
    scan = Scan(load + noise, endpoint_mev=(9.0, 6.0), pixel_pitch_mm=(18.0, 18.0))
    formats.write(scan, tmp_path / "a.tiff")
    (tmp_path / "b.tiff").write_bytes(b"II*\0 cut")
    return (tmp_path / "a.tiff",), (tmp_path / "b.tiff",)


def test_containers_with_and_without_threats_are_cases_of_one_scan() -> None:
    """Two benign containers and one with its threat; the other is not benign a second time."""
    table = Answers((_row(),), ()).table()
    assert int(table.benign.sum()) == 2
    assert len(table) == 3
    assert table.table.found_score.tolist() == pytest.approx([0.8])
    assert table.table.behind_g_per_cm2.tolist() == [6.0]
    assert set(table.scan.tolist()) == {0}


def test_a_threat_that_is_not_answered_is_missed() -> None:
    """Without a detection on it, a threat scores less than any threshold."""
    cases = container_table(judged_site(Answers((_row(threats=()),), ())))
    assert np.isneginf(cases.table.found_score).all()


def test_the_reference_is_the_highest_score_of_each_benign_container() -> None:
    """It rises, counts a quiet container as 0, and knows nothing of the threats put in."""
    assert Answers((_row(),), ()).reference() == (0.0, 0.4)


def test_scanners_that_differ_are_no_scanner() -> None:
    """One name for all or none."""
    rows = (_row(scanner="x"), _row(scanner="x"))
    assert Answers(rows, ()).scanner == "x"
    assert Answers((*rows, _row(scanner="y")), ()).scanner is None


def test_only_containers_that_the_model_is_sure_of_are_used() -> None:
    """A structure below the card's threshold is none."""
    eye = Stare()
    found, _ = eye.detect(Scan(np.full((1, 150, 300), 0.5, np.float32)))
    assert len(seen_containers(found, eye)) == 1


def test_a_damaged_scan_is_a_failure_and_the_rest_goes_on(
    groups: tuple[tuple[Path, ...], ...], tmp_path: Path
) -> None:
    """The failure is named; answers stay in the folder, without a pixel of the scan."""
    work, told = tmp_path / "work", list[tuple[int, int]]()
    seen = answers(
        groups, Stare(), ProjectionConfig(_NAMES, 1), work, None, lambda *p: told.append(p)
    )
    assert len(seen.rows) == 1
    assert "b.tiff" in seen.failures[0].scan
    assert told == [(1, 2), (2, 2)]
    assert sum(path.stat().st_size for path in work.iterdir()) < 4096


def test_a_scan_without_container_is_left_out_and_known_ones_are_believed(
    groups: tuple[tuple[Path, ...], ...], tmp_path: Path
) -> None:
    """Where the model sees none the scan says nothing, unless the site has labels."""
    blind, config = Stare(()), ProjectionConfig(_NAMES, 1)
    assert answers(groups[:1], blind, config, tmp_path / "x").left_out == ("a.tiff",)
    known = Known({groups[0][0]: (_CONTAINER,)})
    seen = answers(groups[:1], blind, config, tmp_path / "y", known)
    assert seen.rows[0].containers_xyxy == (_CONTAINER,)


def test_answers_of_another_model_or_place_are_not_mixed(
    groups: tuple[tuple[Path, ...], ...], tmp_path: Path
) -> None:
    """Other settings are refused; a half-written answer is asked again."""
    eye, config, work = Stare(), ProjectionConfig(_NAMES, 1), tmp_path / "work"
    answers(groups[:1], eye, config, work)
    asked = eye.asked
    (work / "000000.json").write_text('{"name": "a')
    answers(groups[:1], eye, config, work)
    assert eye.asked > asked
    settings = json.loads((work / SETTINGS_FILE).read_text("utf-8"))
    (work / SETTINGS_FILE).write_text(json.dumps(settings | {"model": "another"}))
    with pytest.raises(ConfigError, match=r"other settings \(model\)"):
        answers(groups[:1], eye, config, work)
