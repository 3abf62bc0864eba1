"""Signatures of folders and files: whatever is changed, added or removed is found."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nii import dsse, signature
from nii.bundle import Bundle
from nii.dsse import UnknownSignerError, fingerprint, new_key
from nii.signature import (
    SIGNATURE_FILE,
    digest_of,
    sign_file,
    sign_folder,
    verify_file,
    verify_folder,
)

KEY, OTHER = new_key(), new_key()
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def folder(make_bundle: Callable[..., Bundle], tmp_path: Path) -> Path:
    """Return a signed bundle."""
    bundle = make_bundle(tmp_path / "plain")
    sign_folder(bundle.folder, KEY)
    return bundle.folder


def check(folder: Path) -> str:
    """Return the fingerprint of who signed a folder."""
    return fingerprint(verify_folder(folder, [KEY.public_key()]).signer)


def test_a_signed_folder_is_accepted(folder: Path) -> None:
    """What was signed is accepted with the right key, also under another name."""
    assert check(folder) == fingerprint(KEY.public_key())
    check(folder.rename(folder.with_name("moved")))


def test_another_key_is_an_unknown_signer(folder: Path) -> None:
    """With other keys, or none, nobody known has signed."""
    for keys in ([OTHER.public_key()], []):
        with pytest.raises(UnknownSignerError, match="not among"):
            verify_folder(folder, keys)


@pytest.mark.slow
@settings(max_examples=150)
@given(st.data())
def test_a_changed_byte_anywhere_is_refused(folder: Path, data: st.DataObject) -> None:
    """One byte changed at any place of any file, the signature included, is refused."""
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    content = path.read_bytes()
    place = data.draw(st.integers(0, 10**6)) % len(content)
    other = (content[place] + data.draw(st.integers(1, 255))) % 256
    path.write_bytes(content[:place] + bytes([other]) + content[place + 1 :])
    with pytest.raises(ValueError, match=r".+"):
        check(folder)
    path.write_bytes(content)


def test_every_byte_of_the_signature_counts(folder: Path) -> None:
    """No byte of model.sig can be changed unnoticed, wherever it stands (every 29th is tried)."""
    path = folder / SIGNATURE_FILE
    content = path.read_bytes()
    unnoticed = []
    for place in range(0, len(content), 29):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            check(folder)
        except ValueError:
            continue
        unnoticed.append(place)
    assert unnoticed == []


@pytest.mark.parametrize("change", [b"\n", b" ", b"\0", b"{}"])
def test_nothing_stands_beside_a_signature(folder: Path, change: bytes) -> None:
    """A signature that was lengthened, by a line feed even, at either end, is refused."""
    path = folder / SIGNATURE_FILE
    content = path.read_bytes()
    for other in (content + change, change + content):
        path.write_bytes(other)
        with pytest.raises(ValueError, match=r".+"):
            check(folder)


@pytest.mark.parametrize("name", ["card.json", "model.onnx", "parity.json", "card.md"])
def test_a_removed_file_is_refused(folder: Path, name: str) -> None:
    """A file that was signed and is gone is named."""
    (folder / name).unlink()
    with pytest.raises(ValueError, match=f"missing after it was signed: {name}"):
        check(folder)


@pytest.mark.parametrize("name", ["extra.txt", ".hidden", "deep/er.txt", ".git/config", "a.sig"])
def test_an_added_file_is_refused(folder: Path, name: str) -> None:
    """A file that was not signed is named, wherever it lies; nothing is ignored."""
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"")
    with pytest.raises(ValueError, match="added after it was signed"):
        check(folder)


def test_swapped_files_are_refused(folder: Path) -> None:
    """Two files that change names are two changed files."""
    one, other = folder / "card.json", folder / "parity.json"
    one.rename(folder.parent / "card")
    other.rename(one)
    (folder.parent / "card").rename(other)
    with pytest.raises(ValueError, match=r"changed after it was signed: card.json, parity.json"):
        check(folder)


def test_links_are_refused(folder: Path) -> None:
    """A link in place of a file is refused, though its target has the right content."""
    model = folder / "model.onnx"
    elsewhere = folder.parent / "elsewhere"
    model.rename(elsewhere)
    model.symlink_to(elsewhere)
    with pytest.raises(ValueError, match=r"model.onnx, which is no plain file"):
        check(folder)


def resealed(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the statement of a folder and sign it again with the right key."""
    path = folder / SIGNATURE_FILE
    bundle = json.loads(path.read_bytes())
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    change(statement)
    bundle["dsseEnvelope"] = dsse.seal(json.dumps(statement).encode(), KEY)
    path.write_text(json.dumps(bundle))


def rows(statement: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the files that a statement lists."""
    return list(statement["predicate"]["resources"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda s: s.update(predicateType="urn:nii:signed-file:1"), "no statement of the kind"),
        (lambda s: s.update(_type="x"), "no statement of the kind"),
        (lambda s: s["subject"].append(s["subject"][0]), "about one thing"),
        (lambda s: s["subject"][0]["digest"].update(sha256="0" * 64), "contradicts itself"),
        (lambda s: s["subject"][0].update(digest=None), "no SHA-256"),
        (lambda s: s["predicate"].update(resources=[]), "lists no files"),
        (lambda s: s["predicate"].update(resources=None), "lists no files"),
        (lambda s: rows(s)[0].update(algorithm="blake2b"), "without SHA-256"),
        (lambda s: rows(s)[0].update(digest="zz"), "no SHA-256"),
        (lambda s: rows(s)[0].update(name="../card.json"), "does not stay in the folder"),
        (lambda s: rows(s)[0].update(name="/etc/passwd"), "does not stay in the folder"),
        (lambda s: rows(s)[0].update(name="a\\..\\b"), "does not stay in the folder"),
        (lambda s: s["predicate"]["resources"].append(rows(s)[0]), "contradicts itself"),
    ],
)
def test_a_signed_statement_of_another_form_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    """A good signature under a statement that means something else is no good signature."""
    resealed(folder, lambda _: None)
    check(folder)
    resealed(folder, change)
    with pytest.raises(ValueError, match=words):
        check(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, " " * (2 << 20)], ids=len)
def test_what_is_no_signature_is_refused(folder: Path, content: str) -> None:
    """Rubbish, deep or large, is an error and nothing worse."""
    (folder / SIGNATURE_FILE).write_text(content)
    with pytest.raises(ValueError, match=r"signature|readable"):
        check(folder)


def test_digest_of_a_folder_is_that_of_ordinary_tools(folder: Path) -> None:
    """The digest is that of the lines that sha256sum prints; the signature does not count."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.name != SIGNATURE_FILE
    ]
    assert digest_of(folder) == hashlib.sha256("".join(lines).encode()).hexdigest()
    before = digest_of(folder)
    (folder / "card.md").rename(folder / "card2.md")
    assert digest_of(folder) != before


def test_a_signed_file_is_accepted_until_it_changes(tmp_path: Path) -> None:
    """The detached envelope holds for the content, under any name, and tells key and time."""
    path = tmp_path / "scan.inspection.json"
    path.write_text("{}")
    beside = sign_file(path, KEY, NOON)
    assert beside == tmp_path / "scan.inspection.json.sig"
    signed = verify_file(path, [KEY.public_key()])
    assert signed.predicate["signed_at"] == NOON.isoformat()
    with pytest.raises(UnknownSignerError, match="not among"):
        verify_file(path, [OTHER.public_key()])
    path.write_text("{ }")
    with pytest.raises(ValueError, match="was changed"):
        verify_file(path, [KEY.public_key()])
    beside.unlink()
    with pytest.raises(ValueError, match="no readable"):
        verify_file(path, [KEY.public_key()])


def test_a_signed_file_does_not_pass_for_a_signed_folder(folder: Path) -> None:
    """The two kinds of statement are told apart, though one key makes both."""
    model = folder / "model.onnx"
    envelope = json.loads(sign_file(model, KEY, NOON).read_bytes())
    bundle = json.loads((folder / SIGNATURE_FILE).read_bytes())
    (folder / SIGNATURE_FILE).write_text(json.dumps(bundle | {"dsseEnvelope": envelope}))
    (folder / "model.onnx.sig").unlink()
    with pytest.raises(ValueError, match="no statement of the kind"):
        check(folder)


@pytest.mark.slow
def test_the_reference_tool_accepts_ours_and_we_accept_its(folder: Path, tmp_path: Path) -> None:
    """Both directions of parity with `model_signing`, where it is installed."""
    tool = shutil.which("model_signing")
    if tool is None:
        pytest.skip("the oracle model-signing is not on the PATH")
    (folder / "deep").mkdir()
    (folder / "deep" / "part.bin").write_bytes(b"more")
    (folder / "deep.bin").write_bytes(b"and more")
    private, sealed = tmp_path / "key", str(folder / signature.SIGNATURE_FILE)
    public = dsse.write_key_pair(private, KEY)
    sign_folder(folder, KEY)
    check_words = [tool, "verify", "key", str(folder), "--public_key", str(public)]
    subprocess.run([*check_words, "--signature", sealed], check=True)  # noqa: S603
    Path(sealed).unlink()
    sign_words = [tool, "sign", "key", str(folder), "--private_key", str(private)]
    subprocess.run([*sign_words, "--signature", sealed], check=True)  # noqa: S603
    check(folder)
