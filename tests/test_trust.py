"""Trust: what a runner refuses, and what it lets run."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from nii import dsse, trust
from nii.bundle import Bundle, read_bundle
from nii.dsse import fingerprint, new_key
from nii.errors import BundleError, ConfigError
from nii.signature import digest_of, sign_folder
from nii.trust import RELEASE_FILE, SHIPPED, Trust, accept_version, add_key, admit, sign_bundle
from nii.versions import VERSIONS_FILE, Issue, read_versions

KEY, OTHER = new_key(), new_key()
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def bundle(make_bundle: Callable[..., Bundle], tmp_path: Path) -> Bundle:
    """Return a bundle that the key signed."""
    made = make_bundle(tmp_path / "plain")
    sign_bundle(made, KEY, NOON)
    return made


@pytest.fixture
def rules(tmp_path: Path) -> Trust:
    """Return a folder of trust with that key."""
    public = dsse.write_key_pair(tmp_path / "customs", KEY)
    add_key(tmp_path / "trust", public)
    return Trust(tmp_path / "trust")


def test_a_bundle_of_a_trusted_signer_runs(bundle: Bundle, rules: Trust) -> None:
    """It is admitted on the word of the key, by its name, and its version is remembered."""
    admission = admit(bundle, rules, NOON)
    assert admission.signer == f"customs {fingerprint(KEY.public_key())[:16]}"
    assert admission.warning is None
    assert read_versions(rules.folder) == {"plain": Issue("1.0", NOON.isoformat())}
    admit(bundle, rules, NOON)


def test_what_another_tool_signed_runs_too(
    make_bundle: Callable[..., Bundle], tmp_path: Path, rules: Trust
) -> None:
    """Without a date of issue, as model-signing signs, the signature alone counts."""
    made = make_bundle(tmp_path / "plain")
    sign_folder(made.folder, KEY)
    assert admit(made, rules, NOON).issued_at == ""


def test_unsigned_is_refused_unless_allowed(
    make_bundle: Callable[..., Bundle],
    tmp_path: Path,
    rules: Trust,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nobody's bundle is refused; where it is allowed, that is said, and nothing is remembered."""
    made = make_bundle(tmp_path / "plain")
    with pytest.raises(BundleError, match=r"no signature.+--allow-unsigned"):
        admit(made, rules, NOON)
    with caplog.at_level(logging.WARNING):
        admission = admit(made, Trust(rules.folder, allow_unsigned=True), NOON)
    assert admission.signer is None
    assert "nobody known vouches" in caplog.text
    assert read_versions(rules.folder) == {}


def test_an_unknown_signer_is_refused_unless_allowed(bundle: Bundle, tmp_path: Path) -> None:
    """A signature by a key that is not trusted counts as none."""
    sign_bundle(bundle, OTHER, NOON)
    with pytest.raises(BundleError, match="not among the trusted keys"):
        admit(bundle, Trust(tmp_path / "nobody"), NOON)
    assert admit(bundle, Trust(tmp_path / "nobody", allow_unsigned=True), NOON).signer is None


@pytest.mark.parametrize("name", ["model.onnx", "card.md", "parity.json", RELEASE_FILE])
def test_altered_is_refused_whatever_is_allowed(bundle: Bundle, rules: Trust, name: str) -> None:
    """A known signer's bundle that was altered is never run, not even as unsigned."""
    path = bundle.folder / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(BundleError, match=f"changed after it was signed: {name}"):
        admit(bundle, Trust(rules.folder, allow_unsigned=True), NOON)


@pytest.mark.slow
def test_a_changed_byte_of_any_file_is_refused(bundle: Bundle, rules: Trust) -> None:
    """Every 13th byte of every file is changed in turn; scripts/tamper_bundle.py changes each."""
    unnoticed = []
    for path in sorted(bundle.folder.iterdir()):
        content = path.read_bytes()
        for place in range(0, len(content), 13):
            path.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
            try:
                admit(read_bundle(bundle.folder), rules, NOON)
            except BundleError:
                continue
            unnoticed.append(f"{path.name}, byte {place}")
        path.write_bytes(content)
    assert unnoticed == []


def test_a_card_of_another_bundle_is_refused(
    bundle: Bundle, make_bundle: Callable[..., Bundle], tmp_path: Path, rules: Trust
) -> None:
    """A sound card of a newer version, put in place of the signed one, is found."""
    newer = make_bundle(tmp_path / "newer", "2.0")
    shutil.copy(newer.folder / "card.json", bundle.folder / "card.json")
    with pytest.raises(BundleError, match=r"changed after it was signed: card\.json"):
        admit(read_bundle(bundle.folder), rules, NOON)


def test_a_release_of_another_bundle_is_refused(bundle: Bundle, rules: Trust) -> None:
    """Where a signer mixed up two releases, the bundle says two things and is refused."""
    path = bundle.folder / RELEASE_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"version": "9"}))
    sign_folder(bundle.folder, KEY)
    with pytest.raises(BundleError, match="release of plain 9"):
        admit(bundle, rules, NOON)
    path.write_text("{}")
    sign_folder(bundle.folder, KEY)
    with pytest.raises(BundleError, match="no readable release"):
        admit(bundle, rules, NOON)


def test_expired_is_refused(bundle: Bundle, rules: Trust) -> None:
    """A bundle may be used on its last day and not on the next."""
    sign_bundle(bundle, KEY, NOON, date(2026, 11, 30))
    last = datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert admit(bundle, rules, last).expires == "2026-11-30"
    for days in (1, 400):
        with pytest.raises(BundleError, match="expired on 2026-11-30"):
            admit(bundle, rules, last + timedelta(days=days))


def test_an_older_version_is_refused_and_can_be_taken_back(
    make_bundle: Callable[..., Bundle], tmp_path: Path, rules: Trust
) -> None:
    """After 1.10 was used, 1.9 is refused, also where unsigned is allowed, until it is accepted."""
    new, old = make_bundle(tmp_path / "new", "1.10"), make_bundle(tmp_path / "old", "1.9")
    for made in (new, old):
        sign_bundle(made, KEY, NOON)
    admit(old, rules, NOON)
    admit(new, rules, NOON)
    for allow in (False, True):
        with pytest.raises(BundleError, match=r"version 1\.9.+version 1\.10.+used before"):
            admit(old, Trust(rules.folder, allow_unsigned=allow), NOON)
    accept_version(old, rules.folder, NOON)
    admit(old, rules, NOON)


def test_an_older_issue_of_the_same_version_is_refused(bundle: Bundle, rules: Trust) -> None:
    """Of two signed bundles that carry one version the later one counts."""
    sign_bundle(bundle, KEY, NOON + timedelta(days=1))
    admit(bundle, rules, NOON)
    sign_bundle(bundle, KEY, NOON)
    with pytest.raises(BundleError, match="used before"):
        admit(bundle, rules, NOON)


def test_an_unsigned_version_cannot_be_accepted(
    make_bundle: Callable[..., Bundle], tmp_path: Path, rules: Trust
) -> None:
    """Going back needs a signature as well."""
    with pytest.raises(BundleError, match="no signature"):
        accept_version(make_bundle(tmp_path / "plain"), rules.folder, NOON)


def test_a_folder_that_cannot_be_written_is_told(
    bundle: Bundle,
    rules: Trust,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The bundle runs, and the log says that its version is not remembered."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "read-only")

    monkeypatch.setattr("nii.versions.write_whole", refuse)
    admit(bundle, rules, NOON)
    assert "cannot be remembered" in caplog.text


def test_a_damaged_folder_of_trust_is_an_error(bundle: Bundle, rules: Trust) -> None:
    """Neither rubbish among the keys nor a damaged list of versions is passed over."""
    (rules.folder / VERSIONS_FILE).write_text("[")
    with pytest.raises(ConfigError, match="no readable list"):
        admit(bundle, rules, NOON)
    (rules.folder / VERSIONS_FILE).unlink()
    (rules.folder / "rubbish.pem").write_text("no key")
    with pytest.raises(ConfigError, match="no public key"):
        admit(bundle, rules, NOON)


def test_keys_are_added_and_never_replaced(tmp_path: Path, rules: Trust) -> None:
    """The same key twice is one key; another key under its name is refused."""
    public = tmp_path / "customs.pub"
    add_key(rules.folder, public)
    assert [name for name, _ in trust.keys_of(rules.folder).values()] == ["customs"]
    public.write_bytes(dsse.public_pem(OTHER.public_key()))
    with pytest.raises(ConfigError, match="another key of that name"):
        add_key(rules.folder, public)


def test_the_project_s_key_is_trusted_by_default(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key in release.pem needs no folder of trust."""
    place = tmp_path / "release.pem"
    place.write_bytes(b"".join(dsse.public_pem(key.public_key()) for key in (OTHER, KEY)))
    monkeypatch.setattr(trust, "RELEASE_KEYS_FILE", place)
    admission = admit(bundle, Trust(tmp_path / "nobody"), NOON)
    assert str(admission.signer).startswith("release ")


def test_a_shipped_bundle_runs_until_it_is_changed(
    make_bundle: Callable[..., Bundle],
    tmp_path: Path,
    rules: Trust,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A bundle on record runs without a signature, wherever it lies; any change ends that."""
    made = make_bundle(tmp_path / "plain")
    record = tmp_path / "shipped.toml"
    record.write_text(f'[plain]\nversion = "1.0"\nsha256 = "{digest_of(made.folder)}"\n')
    monkeypatch.setattr(trust, "SHIPPED_FILE", record)
    assert admit(made, rules, NOON).signer == SHIPPED
    for name in ("card.md", "parity.json", "extra"):
        path = made.folder / name
        before = path.read_bytes() if path.exists() else None
        path.write_bytes((before or b"") + b"\n")
        with pytest.raises(BundleError, match="not as it was shipped"):
            admit(made, rules, NOON)
        path.unlink() if before is None else path.write_bytes(before)
    assert admit(made, rules, NOON).signer == SHIPPED


def test_every_bundle_in_models_is_on_record() -> None:
    """What lies in models/ runs from a fresh clone; after a change: scripts/record_models.py."""
    folders = [path.parent for path in sorted((ROOT / "models").glob("*/card.json"))]
    signed = [folder.name for folder in folders if (folder / "model.sig").exists()]
    assert {folder.name: digest_of(folder) for folder in folders} == trust.shipped_digests()
    assert signed == [] or trust.RELEASE_KEYS_FILE.is_file()


def test_no_private_key_is_in_the_repository() -> None:
    """No file of the package, the models or the scripts holds a private key."""
    word = b"PRIVATE " + b"KEY-----"
    for folder in ("nii", "models", "scripts", "configs", "docs", "tests"):
        for path in (ROOT / folder).rglob("*"):
            if "__pycache__" in path.parts:
                continue  # a compiler may join the two halves of the word above
            assert not (path.is_file() and word in path.read_bytes()), path


def test_a_folder_that_cannot_be_signed_is_told(bundle: Bundle) -> None:
    """A link among the files is no thing to sign."""
    (bundle.folder / "link").symlink_to(bundle.folder / "card.md")
    with pytest.raises(BundleError, match="no plain file"):
        sign_bundle(bundle, KEY, NOON)
