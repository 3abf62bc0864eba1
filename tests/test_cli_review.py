"""Claims about the command review."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("starlette")

from nii import cli
from nii.review import server
from nii.review.desk import ReviewSettings
from nii.review.server import ServerSettings


def test_flags_become_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every flag lands in its setting."""
    seen: list[tuple[object, ...]] = []
    monkeypatch.setattr(server, "serve", lambda *given: seen.append(given))
    monkeypatch.delenv("NII_DATABASE", raising=False)
    words = ["review", str(tmp_path), "--host", "0.0.0.0", "--port", "8443"]  # noqa: S104
    words += ["--name", "nii.example", "--certificate", "c.pem", "--key", "k.pem"]
    words += ["--break-minutes", "30", "--database", "postgresql://h/d"]
    assert cli.main(words) == 0
    folder, settings, review, _, database = seen[0]
    assert folder == tmp_path
    assert settings == ServerSettings(
        "0.0.0.0",  # noqa: S104
        8443,
        ("nii.example",),
        Path("c.pem"),
        Path("k.pem"),
    )
    assert isinstance(review, ReviewSettings)
    assert review.break_minutes == 30
    assert database == "postgresql://h/d"


def test_a_network_without_tls_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command says what is missing, and starts nothing."""
    assert cli.main(["review", str(tmp_path), "--host", "0.0.0.0"]) == 2  # noqa: S104
    assert "without TLS" in capsys.readouterr().err
