"""Commands about the workstation: exit codes, and what they print."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from nii import cli, cli_station
from nii.bundle import Bundle
from nii.errors import ConfigError

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "models" / "compact"


@pytest.fixture(autouse=True)
def fresh_trust(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a folder of trust of its own, through the variable."""
    monkeypatch.setenv("NII_TRUST", str(tmp_path / "trust"))


def test_the_shipped_bundle_is_the_default(
    make_bundle: Callable[..., Bundle], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the shipped bundles compact is taken, and the variable goes before it."""
    make_bundle(tmp_path / "models" / "another")
    bundle = make_bundle(tmp_path / "models" / "compact").folder
    monkeypatch.delenv(cli_station.BUNDLE_VARIABLE, raising=False)
    monkeypatch.setattr(cli_station, "MODELS_DIRS", (tmp_path, bundle.parent))
    assert cli_station.bundle_of(None) == bundle
    assert cli_station.bundle_of(tmp_path) == tmp_path
    monkeypatch.setenv(cli_station.BUNDLE_VARIABLE, str(tmp_path / "named"))
    assert cli_station.bundle_of(None) == tmp_path / "named"
    monkeypatch.delenv(cli_station.BUNDLE_VARIABLE)
    monkeypatch.setattr(cli_station, "MODELS_DIRS", (tmp_path, tmp_path / "none"))
    with pytest.raises(ConfigError, match="no model compact in"):
        cli_station.bundle_of(None)


@pytest.mark.slow
def test_what_is_shipped_passes_from_a_fresh_clone(capsys: pytest.CaptureFixture[str]) -> None:
    """The bundle in models/ is accepted without any key, and its numbers are right."""
    assert cli.main(["bundle", "verify", str(SHIPPED)]) == 0
    out = capsys.readouterr().out
    assert "signed by nii" in out
    assert "self-test: passed" in out


def test_one_altered_byte_is_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle whose model or page was altered is refused, each with the reason."""
    folder = tmp_path / "compact"
    folder.mkdir()
    for file in SHIPPED.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    with (folder / "card.md").open("ab") as stream:
        stream.write(b" ")
    assert cli.main(["bundle", "verify", str(folder)]) == 1
    assert "not as it was shipped" in capsys.readouterr().err
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(b"\0")
    assert cli.main(["bundle", "verify", str(folder), "--allow-unsigned"]) == 1
    assert "SHA-256" in capsys.readouterr().err


@pytest.mark.slow
def test_keys_signature_and_trust(
    make_bundle: Callable[..., Bundle], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """keygen, sign and trust are 0; signing without a key is wrong usage."""
    bundle, key = make_bundle(tmp_path / "plain"), tmp_path / "key"
    assert cli.main(["bundle", "keygen", str(key)]) == 0
    assert cli.main(["bundle", "sign", str(bundle.folder)]) == 2
    assert "--key" in capsys.readouterr().err
    assert cli.main(["bundle", "sign", str(bundle.folder), "--key", str(key)]) == 0
    assert cli.main(["bundle", "trust", str(bundle.folder)]) == 1
    assert cli.main(["bundle", "trust", f"{key}.pub"]) == 0
    assert cli.main(["bundle", "trust", str(bundle.folder)]) == 0
    assert (tmp_path / "trust" / "key.pem").is_file()


@pytest.mark.slow
def test_doctor_tells_in_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    """The page is 0 where all is well, and the JSON says the same."""
    code = cli.main(["doctor", "--provider", "CPUExecutionProvider"])
    text = capsys.readouterr().out
    assert (code == 0) is ("all is well" in text)
    assert cli.main(["doctor", "--provider", "CPUExecutionProvider", "--json"]) == code
    assert json.loads(capsys.readouterr().out)["well"] is (code == 0)
    assert cli.main(["doctor", "--provider", "CPUExecutionProvider", "--require-gpu"]) == 1
