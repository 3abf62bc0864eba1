"""Keys and sealed envelopes."""

from __future__ import annotations

import base64
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from hypothesis import given
from hypothesis import strategies as st

from nii import dsse
from nii.dsse import UnknownSignerError, fingerprint, named_signer, new_key, seal, unseal
from nii.errors import ConfigError

KEY, OTHER = new_key(), new_key()
MARK = fingerprint(KEY.public_key())


def test_encoding_is_that_of_the_protocol() -> None:
    """Type and payload each follow their length, as the DSSE protocol writes its example."""
    assert dsse.pae(b"hello world") == b"DSSEv1 28 application/vnd.in-toto+json 11 hello world"


@given(st.binary(max_size=99))
def test_what_is_sealed_comes_out(payload: bytes) -> None:
    """A payload comes out as it went in, with the key that sealed it, and with no other."""
    envelope = json.loads(json.dumps(seal(payload, KEY)))
    opened, signer = unseal(envelope, [OTHER.public_key(), KEY.public_key()], MARK)
    assert (opened, fingerprint(signer)) == (payload, fingerprint(KEY.public_key()))
    with pytest.raises(UnknownSignerError, match="not among the trusted keys"):
        unseal(envelope, [OTHER.public_key()], MARK)


@given(st.data())
def test_one_changed_bit_is_found(data: st.DataObject) -> None:
    """A bit changed in payload or signature opens with no key."""
    envelope = seal(b'{"subject": "a bundle"}', KEY)
    row = data.draw(st.sampled_from(["payload", "sig"]))
    place: dict[str, Any] = envelope if row == "payload" else envelope["signatures"][0]
    content = bytearray(base64.b64decode(place[row]))
    content[data.draw(st.integers(0, 999)) % len(content)] ^= 1 << data.draw(st.integers(0, 7))
    place[row] = base64.b64encode(content).decode()
    with pytest.raises(ValueError, match="does not fit"):
        unseal(envelope, [KEY.public_key()], MARK)


def test_a_named_signer_must_have_signed() -> None:
    """A signature that names a trusted key but was made by another one is no unknown signer."""
    envelope = seal(b"{}", OTHER, keyid=MARK)
    assert named_signer(envelope) == MARK
    with pytest.raises(ValueError, match="does not fit") as caught:
        unseal(envelope, [KEY.public_key(), OTHER.public_key()], MARK)
    assert not isinstance(caught.value, UnknownSignerError)


@pytest.mark.parametrize(
    "change",
    [
        {"payloadType": "text/plain"},
        {"signatures": []},
        {"signatures": [{"sig": ""}, {"sig": ""}]},
        {"signatures": ["sig"]},
        {"signatures": {"sig": ""}},
        {"signatures": [{"sig": 1, "keyid": ""}]},
        {"signatures": [{"sig": "", "keyid": "somebody"}]},
        {"payload": None},
        {"payload": "*"},
        {"payload": "e30"},
        {"signatures": [{"sig": "*", "keyid": ""}]},
        {"comment": "more"},
    ],
    ids=str,
)
def test_what_is_no_envelope_is_refused(change: dict[str, Any]) -> None:
    """Every deviation from the form is a plain error."""
    with pytest.raises(ValueError, match=r".+"):
        unseal(seal(b"{}", KEY) | change, [KEY.public_key()], MARK)
    with pytest.raises(ValueError, match="no envelope"):
        unseal([], [KEY.public_key()], MARK)
    with pytest.raises(ValueError, match="names no signer"):
        named_signer([])


@pytest.mark.parametrize("phrase", [None, b"tea and toast"])
def test_keys_come_back_from_their_files(tmp_path: Path, phrase: bytes | None) -> None:
    """A pair read from disk is the pair that was written, and only its owner can read it."""
    path = tmp_path / "org"
    public = dsse.write_key_pair(path, KEY, phrase)
    again = dsse.read_private_key(path, phrase)
    assert fingerprint(again.public_key()) == fingerprint(KEY.public_key())
    assert [fingerprint(key) for key in dsse.read_public_keys(public)] == [
        fingerprint(KEY.public_key())
    ]
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if phrase:
        with pytest.raises(ConfigError, match="NII_KEY_PASSPHRASE"):
            dsse.read_private_key(path)


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    """A second pair of the same name is refused, and the first one stays."""
    dsse.write_key_pair(tmp_path / "org", KEY)
    before = (tmp_path / "org").read_bytes()
    with pytest.raises(ConfigError, match="never replaced"):
        dsse.write_key_pair(tmp_path / "org", OTHER)
    assert (tmp_path / "org").read_bytes() == before


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    """Ed25519, P-384, a private key in place of a public one, and no key at all."""
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    for key in (ed25519.Ed25519PrivateKey.generate(), ec.generate_private_key(ec.SECP384R1())):
        private, public = tmp_path / "key", tmp_path / "key.pub"
        private.write_bytes(key.private_bytes(*plain, serialization.NoEncryption()))
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
        with pytest.raises(ConfigError, match="P-256"):
            dsse.read_private_key(private)
        with pytest.raises(ConfigError, match="P-256"):
            dsse.read_public_keys(public)
        with pytest.raises(ConfigError, match="no public key"):
            dsse.read_public_keys(private)
    for read in (dsse.read_private_key, dsse.read_public_keys):
        with pytest.raises(ConfigError, match="absent"):
            read(tmp_path / "absent")
