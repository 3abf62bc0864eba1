"""The guarantee in every result: it holds, drift suspends it for good, a person may reset it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nii.bundle import Bundle, GuaranteeSpec
from nii.errors import ConfigError
from nii.infer.detect import Detector
from nii.infer.inspect import inspect
from nii.infer.promise import PROMISE_FILE, Watched, read_standing, reset
from nii.inspection import GuaranteeFacts, Inspection
from nii.scan import Scan

_REFERENCE = tuple(np.linspace(0.0, 0.4, 80).round(4).tolist())
_SPEC = GuaranteeSpec("s", "basis", ("promise",), reference=_REFERENCE)


@pytest.fixture
def detector(tiny_bundle: Bundle) -> Detector:
    """Return the tiny model with a card that promises something."""
    opened = Detector.open(tiny_bundle.folder)
    opened.card = replace(opened.card, guarantee=_SPEC)
    return opened


def _facts(score: float) -> GuaranteeFacts:
    return GuaranteeFacts("holds", "", (score,))


def test_every_result_says_what_the_guarantee_is_worth(
    tiny_bundle: Bundle, detector: Detector, tmp_path: Path, make_scan: Callable[..., Scan]
) -> None:
    """Without calibration there is none; with one it holds, and the scores of containers count."""
    bare = inspect(make_scan(), Detector.open(tiny_bundle.folder))
    assert bare.guarantee is not None
    assert bare.guarantee.state == "none"
    told = inspect(make_scan(), Watched(detector, tmp_path))
    assert told.guarantee is not None
    assert told.guarantee.state == "holds"
    assert len(told.guarantee.scores) == len(told.containers) == 1
    assert told.guarantee.scores[0] > 0.5
    assert Inspection.from_json(told.to_json()) == told


def test_another_scanner_is_not_covered(detector: Detector, make_scan: Callable[..., Scan]) -> None:
    """A scan that names another machine than the card gets no promise."""
    facts = inspect(replace(make_scan(), scanner="other"), detector).guarantee
    assert facts is not None
    assert facts.state == "none"
    assert "other" in facts.reason


@pytest.mark.slow
def test_like_scores_hold_and_drift_suspends_until_a_person_resets(
    detector: Detector, tmp_path: Path, rng: np.random.Generator
) -> None:
    """Scores like the calibration's hold; higher ones suspend, over restarts, until a reset."""
    watched = Watched(detector, tmp_path)
    same = [watched.settle(_facts(float(s))) for s in rng.choice(_REFERENCE, 40)]
    assert {facts.state for facts in same} == {"holds"}
    states = [watched.settle(_facts(0.9)).state for _ in range(60)]
    assert states[-1] == "suspended"
    again = Watched(detector, tmp_path).settle(_facts(0.1))
    assert again.state == "suspended"
    with pytest.raises(ConfigError, match="no name"):
        reset(tmp_path, "", "service", lambda: datetime.now(UTC))
    reset(tmp_path, "A. Person", "new detector line", lambda: datetime.now(UTC))
    after = watched.settle(_facts(0.1))
    assert after.state == "holds"
    assert "A. Person" in after.reason
    assert "suspended" in read_standing(tmp_path / PROMISE_FILE).resets[0].suspended


def test_another_bundle_begins_anew(detector: Detector, tmp_path: Path) -> None:
    """A new calibration is another bundle, for which the old suspension says nothing."""
    watched = Watched(detector, tmp_path)
    while watched.settle(_facts(0.95)).state == "holds":
        pass
    detector.model = replace(detector.model, sha256="another")
    assert Watched(detector, tmp_path).settle(_facts(0.1)).state == "holds"


@pytest.mark.slow
def test_a_suspension_warns_in_the_result(
    detector: Detector, tmp_path: Path, make_scan: Callable[..., Scan]
) -> None:
    """A suspended guarantee stands among the warnings, which every report shows."""
    watched = Watched(detector, tmp_path)
    while watched.settle(_facts(0.95)).state == "holds":
        pass
    result = inspect(make_scan(), watched)
    assert any("suspended" in text for text in result.warnings)


def test_a_state_that_cannot_be_kept_suspends(detector: Detector, tmp_path: Path) -> None:
    """A damaged file or a folder that cannot be written is no reason to go on promising."""
    watched = Watched(detector, tmp_path)
    (tmp_path / PROMISE_FILE).write_text("half a file")
    assert watched.settle(_facts(0.1)).state == "suspended"
    with pytest.raises(ConfigError, match="guarantee"):
        Watched(detector, tmp_path)
