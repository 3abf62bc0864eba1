"""nii score: exit codes, options, and what lies in the folder afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from nii import cli

pq = pytest.importorskip("pyarrow.parquet", reason="the extra [score] is not installed")


@pytest.mark.slow
def test_the_samples_become_a_table(root: Path, tmp_path: Path) -> None:
    """Nii score over the sample scans is 0, and the table has a row for each."""
    out, samples = tmp_path / "out", root / "data" / "samples"
    words = ["score", str(samples), "--out", str(out), "--workers", "1"]
    assert cli.main(words) == 0
    from nii import formats

    assert pq.read_table(out / "scans").num_rows == len(formats.find((samples,)))


def test_wrong_usage_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An option without a value is 2; an archive that is not there is 1."""
    out = str(tmp_path / "out")
    assert cli.main(["score", "s3://x", "--out", out, "--storage", "endpoint_url"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err
    assert cli.main(["score", str(tmp_path / "none"), "--out", out]) == 1
    assert "no such folder" in capsys.readouterr().err
