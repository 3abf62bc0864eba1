"""nii serve: its flags; the server itself is tested in tests/serve."""

from __future__ import annotations

from pathlib import Path

import pytest

from nii import cli

pytest.importorskip("starlette", reason="the extra [serve] is not installed")


def test_a_bundle_that_is_none_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a model there is no server: code 1, and the folder is named."""
    assert cli.main(["serve", "--bundle", str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err
