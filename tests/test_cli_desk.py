"""Tests of the commands about evidence and feedback."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nii import cli, formats
from nii.inspection import Inspection
from nii.scan import Scan
from nii.store import inspections, scans
from nii.store.database import open_folder

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).parent / "store" / "inspection.json"


@pytest.fixture
def store(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Give the folder of a store with one inspection."""
    image = rng.uniform(0.2, 1.0, (1, 120, 480)).astype(np.float32)
    opened = open_folder(tmp_path / "store")
    kept = scans.keep(opened, formats.write(Scan(image), tmp_path / "truck.png"))
    whole = Inspection.from_json(json.loads(EXAMPLE.read_text("utf-8")))
    inspection = replace(whole, scan=replace(whole.scan, sha256=kept.sha256))
    inspections.add(opened, kept, inspection, NOON)
    opened.close()
    return tmp_path / "store"


@pytest.mark.slow
def test_a_signed_package_is_checked(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one workstation signs, another that trusts its key finds intact, or changed."""
    key, out = tmp_path / "station", tmp_path / "case.evidence.zip"
    assert cli.main(["bundle", "keygen", str(key)]) == 0
    words = ["evidence", str(store), "1", "--out", str(out), "--key", str(key), "--name", "A. B."]
    assert cli.main(words) == 0
    assert cli.main(["evidence", "verify", str(out)]) == 1
    assert "NOT TRUSTED" in capsys.readouterr().out
    checked = ["evidence", "verify", str(out), "--key", f"{key}.pub", "--store", str(store)]
    assert cli.main(checked) == 0
    assert "exported" in capsys.readouterr().out
    content = bytearray(out.read_bytes())
    content[len(content) // 2] ^= 1
    out.write_bytes(content)
    assert cli.main(checked) == 1
    assert capsys.readouterr().err


def test_an_unsigned_package_says_so(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a key the commands say UNSIGNED, and the check accepts it only when told to."""
    out = tmp_path / "case.evidence.zip"
    assert cli.main(["evidence", str(store), "1", "--out", str(out), "--name", "A. B."]) == 0
    assert "UNSIGNED" in capsys.readouterr().out
    assert cli.main(["evidence", "verify", str(out)]) == 1
    assert cli.main(["evidence", "verify", str(out), "--allow-unsigned"]) == 0
    assert cli.main(["evidence", str(store), "9", "--out", str(out)]) == 1
    assert "no such inspection" in capsys.readouterr().err


def test_feedback_of_a_quiet_store_is_empty(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A store without marks gives an empty set; shares that leave nothing to train on are wrong."""
    out = tmp_path / "out"
    assert cli.main(["feedback", "export", str(store), "--out", str(out)]) == 0
    assert "0 train, 0 val, 0 test" in capsys.readouterr().out
    words = ["feedback", "export", str(store), "--out", str(out), "--val", "0.5", "--test", "0.5"]
    assert cli.main(words) == 2
