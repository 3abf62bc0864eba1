"""Claims about scans that programs bring: nothing of them is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nii import formats
from nii.review import auth, upload
from nii.review.auth import Right
from nii.scan import Scan
from nii.store import audit
from nii.store.database import Store
from nii.store.users import Role, User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:8000"
EXAMPLE = Path(__file__).parents[1] / "store" / "inspection.json"


@pytest.fixture
def scanner(app: Starlette, store: Store, account: Callable[..., User]) -> TestClient:
    """Give a program that brings scans."""
    user = account("boss", Role.ADMINISTRATOR)
    token = auth.add_token(store, user, "s", [Right.PUSH], NOON + timedelta(days=1), NOON)
    return TestClient(app, base_url=ORIGIN, headers={"Authorization": f"Bearer {token}"})


@pytest.fixture
def scan(tmp_path: Path, rng: np.random.Generator) -> bytes:
    """Give the bytes of a scan."""
    image = rng.uniform(0.2, 1.0, (1, 60, 240)).astype(np.float32)
    (path,) = formats.write(Scan(image), tmp_path / "truck.tif")
    return path.read_bytes()


def left_behind(store: Store) -> list[str]:
    """Return the names of everything in the folder of original files."""
    return sorted(path.name for path in store.files.rglob("*") if path.is_file())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["../../evil.tif", "/etc/passwd", "..", ".hidden.tif", "a\\b.tif", "C:evil.tif", "a.tif ", ""],
)
def test_no_name_leads_out_of_the_folder(
    scanner: TestClient, store: Store, scan: bytes, name: str
) -> None:
    """A name with a path in it, or one that some system reads otherwise, is refused."""
    head = audit.head(store)
    answer = scanner.post("/api/v1/scans", files=[("file", (name, scan))])
    assert answer.status_code == 422
    assert left_behind(store) == []
    assert audit.head(store) == head


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "data"),
    [
        ([("file", ("a.tif", b"no scan"))], {}),
        ([("file", ("a.exe", b"MZ"))], {}),
        ([("file", ("a.tif", b""))], {}),
        ([("other", ("a.tif", b"x"))], {}),
        ([("file", ("a.tif", b"x")), ("file", ("a.tif", b"y"))], {}),
        ([("file", ("a.tif", b"x"))], {"inspection": "no JSON"}),
        ([("file", ("a.tif", b"x"))], {"inspection": "{}"}),
        ([("file", ("a.tif", b"x"))], {"inspection": EXAMPLE.read_text("utf-8")}),
    ],
    ids=range(8),
)
def test_what_is_no_scan_is_refused(
    scanner: TestClient,
    store: Store,
    files: list[tuple[str, tuple[str, bytes]]],
    data: dict[str, str],
) -> None:
    """What cannot be read as a scan, or does not belong to its inspection, is not registered."""
    head = audit.head(store)
    answer = scanner.post("/api/v1/scans", files=files, data=data)
    assert answer.status_code == 422
    assert str(store.files) not in answer.text
    assert audit.head(store) == head


@pytest.mark.slow
def test_too_many_files(scanner: TestClient, scan: bytes) -> None:
    """A scan of more files than any format has is refused."""
    files = [("file", (f"{number}.tif", scan)) for number in range(upload.MOST_FILES + 1)]
    assert scanner.post("/api/v1/scans", files=files).status_code == 400


@pytest.mark.slow
def test_a_body_that_is_too_large(scanner: TestClient) -> None:
    """A body over the limit is refused by its stated size, before anything of it is read."""
    headers = {"Content-Length": str(3 << 30), "Content-Type": "multipart/form-data; boundary=x"}
    assert scanner.post("/api/v1/scans", headers=headers, content=b"").status_code == 413


@pytest.mark.slow
def test_a_broken_form(scanner: TestClient) -> None:
    """A form without end or boundary is refused."""
    for kind in ("multipart/form-data; boundary=x", "multipart/form-data"):
        answer = scanner.post("/api/v1/scans", headers={"Content-Type": kind}, content=b"--x\r\n")
        assert answer.status_code in (400, 422)
    answer = scanner.post("/api/v1/scans", json={})
    assert answer.status_code == 415


@pytest.mark.slow
def test_pushing_again_changes_nothing(scanner: TestClient, store: Store, scan: bytes) -> None:
    """The same scan under the same name is the same scan."""
    files = [("file", ("truck.tif", scan))]
    first = scanner.post("/api/v1/scans", files=files).json()
    assert scanner.post("/api/v1/scans", files=files).json() == first
    assert len(left_behind(store)) == 1
    assert audit.verify(store).intact


@pytest.mark.slow
def test_a_forged_inspection(scanner: TestClient, scan: bytes) -> None:
    """An inspection of another scan is not filed with this one."""
    document = json.loads(EXAMPLE.read_text("utf-8"))
    files = [("file", ("truck.tif", scan))]
    data = {"inspection": json.dumps(document)}
    answer = scanner.post("/api/v1/scans", files=files, data=data)
    assert answer.status_code == 422
    assert "other scan" in answer.text or "inspection of" in answer.text
