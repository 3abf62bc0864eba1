"""Claims about the app as a whole and the server that runs it."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from nii.errors import ConfigError
from nii.review import app as subject
from nii.review import guard
from nii.store import audit
from nii.store.database import Store, open_folder
from nii.store.inspections import Filed


def test_health(client: TestClient, store: Store) -> None:
    """The health page tells whether the database answers."""
    assert client.get("/healthz").json()["status"] == "ok"
    store.close()
    shutil.rmtree(store.files.parent)
    assert client.get("/healthz").status_code == 503


@pytest.mark.parametrize("path", ["/inspections/1", "/api/inspections/1"])
def test_failures_of_ours_tell_nothing(
    store: Store, file_scan: Callable[..., Filed], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """An unexpected error gives status 500 with the headers and without its inside."""

    def fail(*_: object) -> None:
        raise RuntimeError("secret")

    file_scan()
    monkeypatch.setattr("nii.store.decisions.of_inspection", fail)
    app = subject.create_app(store)
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False) as client:
        answer = client.get(path)
    assert answer.status_code == 500
    assert "secret" not in answer.text
    for name, value in guard.HEADERS.items():
        assert answer.headers[name] == value


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.1", "::", "example.org"])  # noqa: S104
def test_other_machines_are_kept_out(tmp_path: Path, host: str) -> None:
    """Without login the server refuses to listen on an address that others can reach."""
    with pytest.raises(ConfigError, match="no login yet"):
        subject.serve(tmp_path, host=host)


def test_a_real_server(tmp_path: Path, store: Store, file_scan: Callable[..., Filed]) -> None:
    """Run as its own process, the server shows the queue, a picture, and stores a decision."""
    filed = file_scan()
    store.close()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = (
        "import sys; from pathlib import Path; from nii.review.app import serve; "
        "serve(Path(sys.argv[1]), port=int(sys.argv[2]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store"), str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        base = f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=base, headers={"Origin": base}) as browser:
            wait_for(browser)
            assert f"/inspections/{filed.id}" in browser.get("/").text
            picture = browser.get(f"/scans/{filed.scan_sha256}/picture.png")
            assert picture.content.startswith(b"\x89PNG")
            form = {"verdict": "inspect", "officer": "A. Officer", "reason": ""}
            answer = browser.post(f"/inspections/{filed.id}/decisions", data=form)
            assert answer.status_code == 303
            assert "server" not in answer.headers
    finally:
        server.terminate()
        server.communicate(timeout=10)
    again = open_folder(tmp_path / "store")
    assert audit.verify(again).head.number == 2
    again.close()


def wait_for(browser: httpx.Client) -> None:
    """Wait until the server answers."""
    for _ in range(200):
        try:
            if browser.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the server did not start")
