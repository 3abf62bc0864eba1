"""Claims about the JSON side: the same as the pages, for programs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from nii.inspection import Inspection, Level
from nii.store import audit, decisions
from nii.store.database import Store
from nii.store.inspections import Filed

FileScan = Callable[..., Filed]
DECISION = {"verdict": "refer", "officer": "A. Officer", "reason": "unclear"}


def test_listing(client: TestClient, file_scan: FileScan) -> None:
    """The list follows urgency, counts levels and says where the next page starts."""
    clear, search = file_scan(Level.CLEAR), file_scan(Level.SEARCH)
    first = client.get("/api/inspections", params={"limit": 1}).json()
    assert [one["id"] for one in first["inspections"]] == [search.id]
    assert first["counts"] == {"clear": 1, "look": 0, "search": 1}
    params = {"limit": 1, "before": first["next_before"]}
    second = client.get("/api/inspections", params=params).json()
    assert [one["id"] for one in second["inspections"]] == [clear.id]
    assert second["inspections"][0]["scan_sha256"] == clear.scan_sha256
    only = client.get("/api/inspections", params={"class": "firearm"}).json()
    assert [one["id"] for one in only["inspections"]] == [search.id]
    assert only["next_before"] is None


def test_one(client: TestClient, file_scan: FileScan) -> None:
    """An inspection comes out as it was filed."""
    filed = file_scan()
    data = client.get(f"/api/inspections/{filed.id}").json()
    assert Inspection.from_json(data["inspection"]) == filed.inspection
    assert data["decisions"] == []


def test_decide(client: TestClient, store: Store, file_scan: FileScan) -> None:
    """A decision given as JSON is stored, returned and listed."""
    filed = file_scan()
    answer = client.post(f"/api/inspections/{filed.id}/decisions", json=DECISION)
    assert answer.status_code == 201
    stored = answer.json()
    assert {key: stored[key] for key in DECISION} == DECISION
    assert client.get(f"/api/inspections/{filed.id}").json()["decisions"] == [stored]
    assert audit.verify(store).intact


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{}", "application/json", 422),
        (b"{}", "text/plain", 415),
        (b'{"verdict":"refer","officer":1}', "application/json", 422),
        (b'{"verdict":["refer"],"officer":"A"}', "application/json", 422),
        (b'{"verdict":"refer","officer":"\\ud800"}', "application/json", 422),
        (b'{"verdict":"refer","officer":"A","by":"B"}', "application/json", 422),
        (b'{"verdict":"release","officer":"A","reason":""}', "application/json", 422),
        (b" " * 100_000, "application/json", 413),
    ],
)
def test_bad_decisions_are_refused(
    client: TestClient,
    store: Store,
    file_scan: FileScan,
    content: bytes,
    kind: str,
    status: int,
) -> None:
    """What is no decision is refused with the fitting status and stores nothing."""
    path = f"/api/inspections/{file_scan().id}/decisions"
    answer = client.post(path, content=content, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert decisions.of_inspection(store, 1) == ()


@pytest.mark.parametrize("path", ["/api/inspections/9", "/api/inspections/x", "/api/other"])
def test_what_is_not_there_is_json_too(client: TestClient, path: str) -> None:
    """A program gets its errors in JSON."""
    answer = client.get(path)
    assert answer.status_code == 404
    assert answer.json() == {"error": "Not Found"}


def test_deciding_on_nothing(client: TestClient) -> None:
    """A decision on an inspection that is not there is not found."""
    for path in ("/api/inspections/9/decisions", "/inspections/9/decisions"):
        assert client.post(path, json=DECISION).status_code == 404
