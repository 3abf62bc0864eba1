"""What `nii bundle` and `nii verify` do: each step of a signer and of a workstation."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from nii import signing
from nii.errors import BundleError, ConfigError
from nii.signature import SIGNATURE_FILE
from nii.trust import Trust

ROOT = Path(__file__).resolve().parents[1]
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def tiny() -> ModuleType:
    """Return the module that builds the tiny model."""
    path = ROOT / "tests" / "infer" / "conftest.py"
    spec = importlib.util.spec_from_file_location("tiny_model_for_signing", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tiny: ModuleType, tmp_path: Path) -> Path:
    """Return a bundle that runs."""
    made: Path = tiny.tiny_bundle_in(tmp_path / "tiny").folder
    return made


def test_from_key_to_a_trusted_bundle(folder: Path, tmp_path: Path) -> None:
    """Make keys, sign, be refused, trust, and be accepted: in this order, with a passphrase."""
    locked, rules = {"NII_KEY_PASSPHRASE": "tea"}, Trust(tmp_path / "trust")
    key = tmp_path / "customs"
    lines = signing.keygen(key, locked)
    assert "locked by the passphrase" in lines[0]
    with pytest.raises(ConfigError, match="NII_KEY_PASSPHRASE"):
        signing.sign(folder, key, None, NOON, {})
    (line,) = signing.sign(folder, key, "2027-12-31", NOON, locked)
    assert "tiny 1 signed until 2027-12-31" in line
    with pytest.raises(BundleError, match="not among the trusted keys"):
        signing.verify(folder, rules, NOON)
    signing.accept(tmp_path / "customs.pub", rules, NOON)
    told = signing.verify(folder, rules, NOON)
    assert told[0].startswith("tiny 1 is intact")
    assert told[1].startswith("signed by customs ")
    assert told[3].startswith("self-test: passed")
    assert signing.accept(folder, rules, NOON) == ["tiny: 1 and newer are run from now on"]


def test_an_unsigned_bundle_is_told_where_it_is_allowed(folder: Path, tmp_path: Path) -> None:
    """The check passes, and the second line warns."""
    told = signing.verify(folder, Trust(tmp_path, allow_unsigned=True), NOON)
    assert told[1].startswith("WARNING: ")


@pytest.mark.parametrize("name", ["selftest.npz", "model.onnx"])
def test_a_damaged_bundle_is_never_signed(folder: Path, tmp_path: Path, name: str) -> None:
    """What is not intact gets no signature."""
    signing.keygen(tmp_path / "key", {})
    (folder / name).write_bytes(b"x")
    with pytest.raises(BundleError, match="SHA-256"):
        signing.sign(folder, tmp_path / "key", None, NOON, {})
    assert not (folder / SIGNATURE_FILE).exists()


def test_mistakes_of_a_signer_are_told(folder: Path, tmp_path: Path) -> None:
    """No key, a day that is none, and a private key inside the bundle."""
    signing.keygen(tmp_path / "key", {})
    signing.keygen(folder / "key", {})
    for key, day, words in (
        (None, None, "--key"),
        (tmp_path / "key", "soon", "2027-12-31"),
        (folder / "key", None, "inside the bundle"),
    ):
        with pytest.raises(ConfigError, match=words):
            signing.sign(folder, key, day, NOON, {})
    assert not (folder / SIGNATURE_FILE).exists()


def test_signed_findings_are_good_until_they_change(tmp_path: Path) -> None:
    """Of three findings the untouched one is good; the changed and the unsigned one are bad."""
    rules = Trust(tmp_path / "trust")
    signing.keygen(tmp_path / "lane1", {})
    signing.accept(tmp_path / "lane1.pub", rules, NOON)
    key = signing.read_key(tmp_path / "lane1", {})
    report = tmp_path / "report"
    report.mkdir()
    paths = [report / f"{name}.inspection.json" for name in "abc"]
    for path in paths:
        path.write_text("{}")
    for path in paths[:2]:
        signing.sign_findings(path, key, NOON)
    paths[1].write_text("{ }")
    good, bad = signing.verify_findings([report], rules)
    assert good == [f"{paths[0]}: signed by lane1 at {NOON.isoformat()}"]
    assert [line.split(": ")[0] for line in bad] == [str(path) for path in paths[1:]]
    _, strangers = signing.verify_findings([paths[0]], Trust(tmp_path / "nobody"))
    assert "not among the trusted keys" in strangers[0]
    with pytest.raises(ConfigError, match=r"no \*\.inspection\.json"):
        signing.verify_findings([tmp_path / "trust"], rules)
