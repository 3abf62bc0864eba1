"""Claims about the server: what others can reach is protected, or it does not start."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nii.errors import ConfigError
from nii.review import server
from nii.review.desk import ReviewSettings
from nii.review.server import ServerSettings
from nii.store.database import Store, open_folder
from nii.store.users import Role, User

NOON = dt.datetime(2026, 1, 2, 12, tzinfo=dt.UTC)
CERTIFICATE, KEY = Path("cert.pem"), Path("key.pem")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ServerSettings(host="0.0.0.0"), "without TLS"),  # noqa: S104
        (ServerSettings(host="192.168.1.1", names=("nii.example",)), "without TLS"),
        (ServerSettings(names=("nii.example",)), "without TLS"),
        (ServerSettings(host="::", certificate=CERTIFICATE, key=KEY), "no host name"),
        (ServerSettings(proxy=("127.0.0.1",)), "no host name"),
        (ServerSettings(certificate=CERTIFICATE), "alone"),
        (ServerSettings(key=KEY), "alone"),
    ],
)
def test_what_others_reach_is_protected(
    tmp_path: Path, settings: ServerSettings, words: str
) -> None:
    """Without TLS or a proxy, or without a name, the server refuses an address for others."""
    with pytest.raises(ConfigError, match=words):
        server.serve(tmp_path, settings, ReviewSettings(), lambda _: None)
    assert not list(tmp_path.iterdir())


def test_a_port_that_is_taken_is_told_before_anything_is_made(tmp_path: Path) -> None:
    """Where another program listens, the error names the port, and no store has been made."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = ServerSettings(port=other.getsockname()[1])
        with pytest.raises(ConfigError, match=f"port {taken.port}"):
            server.serve(tmp_path / "store", taken, ReviewSettings(), lambda _: None)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_no_network_before_accounts_are_set_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one-time password of the first start opens nothing to a network."""
    started: list[ServerSettings] = []
    monkeypatch.setattr(server, "run", lambda _store, settings, _review: started.append(settings))
    said: list[str] = []
    local, far = ServerSettings(), ServerSettings(proxy=("127.0.0.1",), names=("nii.example",))
    with pytest.raises(ConfigError, match="no administrator"):
        server.serve(tmp_path, far, ReviewSettings(), said.append)
    server.serve(tmp_path, local, ReviewSettings(), said.append)
    assert started == [local]
    store = open_folder(tmp_path)
    from nii.review import auth
    from nii.store import users

    admin = users.by_login(store, "admin")
    assert admin is not None
    users.set_password(store, admin.id, "hash", admin.actor, NOON)
    assert auth.is_set_up(store)
    store.close()
    server.serve(tmp_path, far, ReviewSettings(), said.append)
    assert started == [local, far]
    assert [line for line in said if "one-time password" in line] == [said[0]]
    assert said[-1] == "open https://nii.example/"


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        (ServerSettings(), "http://127.0.0.1:8000/"),
        (ServerSettings(host="::1", port=9000), "http://[::1]:9000/"),
        (
            ServerSettings(host="::", names=("a.example",), certificate=CERTIFICATE, key=KEY),
            "https://a.example:8000/",
        ),
    ],
)
def test_the_address_to_open(settings: ServerSettings, address: str) -> None:
    """What is printed can be opened."""
    assert server.address(settings) == address


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return certificate, private


@pytest.mark.slow
def test_over_tls(
    tmp_path: Path, store: Store, account: Callable[..., User], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a certificate the server speaks TLS, the cookie is bound to it, and log-in works."""
    import socket

    import uvicorn

    account("boss", Role.ADMINISTRATOR)
    certificate, key = make_certificate(tmp_path)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running: list[uvicorn.Server] = []
    original = uvicorn.Server.run

    def kept(self: uvicorn.Server, sockets: list[socket.socket] | None = None) -> None:
        running.append(self)
        original(self, sockets)

    monkeypatch.setattr(uvicorn.Server, "run", kept)
    monkeypatch.setattr(uvicorn.Server, "install_signal_handlers", lambda _self: None, False)
    settings = ServerSettings("localhost", port, ("localhost",), certificate, key)
    folder = store.files.parent
    thread = threading.Thread(
        target=server.serve, args=(folder, settings, ReviewSettings(), lambda _: None)
    )
    thread.start()
    trust = ssl.create_default_context(cafile=str(certificate))
    origin = f"https://localhost:{port}"
    with httpx.Client(base_url=origin, verify=trust, headers={"Origin": origin}) as client:
        for _ in range(200):
            try:
                if client.get("/healthz").status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.05)
        form = {"login": "boss", "password": "correct horse battery"}
        answer = client.post("/login", data=form)
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith("__Host-nii=")
        assert "server" not in answer.headers
        assert client.get("/accounts").status_code == 200
    running[0].should_exit = True
    thread.join(timeout=15)
    assert not thread.is_alive()
