"""Claims about the API: it does what its description says, whatever it is sent."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nii import formats
from nii.inspection import Inspection, Level
from nii.review import api, auth
from nii.review.auth import Right
from nii.scan import Scan
from nii.store import audit, decisions, inspections
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.users import Role

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

FileScan = Callable[..., Filed]
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ORIGIN = "http://127.0.0.1:8000"
DECISION = {"verdict": "refer", "reason_code": "unsure", "reason": "unclear"}


@pytest.fixture
def program(app: Starlette, store: Store, account: Callable[..., object]) -> TestClient:
    """Give a program whose token may do all that any account may."""
    user = account("chief", Role.SUPERVISOR)
    rights = [Right.READ, Right.DECIDE, Right.EVENTS]
    return _client(app, auth.add_token(store, user, "p", rights, NOON + timedelta(1), NOON))  # type: ignore[arg-type]


@pytest.fixture
def scanner(app: Starlette, store: Store, account: Callable[..., object]) -> TestClient:
    """Give a program that brings scans."""
    user = account("boss", Role.ADMINISTRATOR)
    rights = [Right.READ, Right.PUSH]
    return _client(app, auth.add_token(store, user, "s", rights, NOON + timedelta(1), NOON))  # type: ignore[arg-type]


def _client(app: Starlette, token: str) -> TestClient:
    return TestClient(app, base_url=ORIGIN, headers={"Authorization": f"Bearer {token}"})


@pytest.mark.slow
def test_every_operation_is_described(stranger: TestClient) -> None:
    """The document is open to all and has each operation once, with its scope."""
    found = stranger.get("/api/v1/openapi.json").json()
    assert found["openapi"].startswith("3.1")
    names = {
        described["operationId"] for path in found["paths"].values() for described in path.values()
    }
    assert names == {operation.name for operation in api.OPERATIONS}


def test_the_queue(program: TestClient, file_scan: FileScan) -> None:
    """The queue follows urgency, counts levels and says where the next page starts."""
    clear, search = file_scan(Level.CLEAR), file_scan(Level.SEARCH)
    first = program.get("/api/v1/queue", params={"limit": 1}).json()
    assert [one["id"] for one in first["items"]] == [search.id]
    assert first["counts"] == {"clear": 1, "look": 0, "search": 1}
    params = {"limit": 1, "after": first["after"]}
    second = program.get("/api/v1/queue", params=params).json()
    assert [one["id"] for one in second["items"]] == [clear.id]
    only = program.get("/api/v1/queue", params={"class": "firearm"}).json()
    assert [one["id"] for one in only["items"]] == [search.id]


def test_findings_come_out_as_filed(program: TestClient, file_scan: FileScan) -> None:
    """Inspections are pulled in order, each as it was filed."""
    filed = [file_scan(), file_scan(Level.CLEAR)]
    found = program.get("/api/v1/inspections").json()["items"]
    assert [Inspection.from_json(one["inspection"]) for one in found] == [
        one.inspection for one in filed
    ]
    rest = program.get("/api/v1/inspections", params={"after": filed[0].id}).json()["items"]
    assert [one["id"] for one in rest] == [filed[1].id]


@pytest.mark.slow
def test_decide_mark_examine(program: TestClient, store: Store, file_scan: FileScan) -> None:
    """Decisions, marks and outcomes given as JSON are stored, returned and listed."""
    filed = file_scan()
    here = f"/api/v1/inspections/{filed.id}"
    made = program.post(f"{here}/decisions", json=DECISION)
    assert made.status_code == 201
    assert {key: made.json()[key] for key in DECISION} == DECISION
    assert made.json()["officer"] == "Chief"
    confirmed = program.post(f"{here}/marks", json={"mark": "confirmed", "region_number": 1})
    box = {"mark": "drawn", "box_xyxy": [1, 2, 30, 40], "remark": "here"}
    drawn = program.post(f"{here}/marks", json=box)
    back = {"mark": "withdrawn", "withdraws": drawn.json()["id"]}
    withdrawn = program.post(f"{here}/marks", json=back)
    outcome = program.post(f"{here}/outcomes", json={"found": True, "class_name": "firearm"})
    for answer in (confirmed, drawn, withdrawn, outcome):
        assert answer.status_code == 201, answer.text
    whole = program.get(here).json()
    assert whole["decisions"] == [made.json()]
    assert whole["marks"] == [confirmed.json(), drawn.json(), withdrawn.json()]
    assert whole["outcomes"] == [outcome.json()]
    assert program.get("/api/v1/decisions").json()["items"] == [made.json()]
    views = {"items": [{"at": "2026-01-02T12:00:00Z", "tool": "inverse", "value": "true"}]}
    assert program.post(f"{here}/views", json=views).status_code == 204
    assert audit.verify(store).intact


@pytest.mark.slow
def test_claims(
    program: TestClient, browse: Callable[..., TestClient], file_scan: FileScan
) -> None:
    """A claimed scan is refused to others with 409, and free again after its release."""
    filed = file_scan()
    here = f"/api/v1/inspections/{filed.id}"
    officer = browse()
    assert officer.post(f"{here}/claim", json={}).status_code == 200
    taken = program.post(f"{here}/claim", json={})
    assert taken.status_code == 409
    assert "Officer" in taken.json()["detail"]
    assert program.post(f"{here}/decisions", json=DECISION).status_code == 409
    assert officer.delete(f"{here}/claim").status_code == 204
    assert program.post("/api/v1/queue/next").json()["id"] == filed.id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 60_000, "application/json", 400),
        (b'{"verdict": NaN}', "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"verdict": "release", "extra": 1}', "application/json", 422),
        (b'{"verdict": "perhaps"}', "application/json", 422),
        (b'{"verdict": "release", "reason": "\\u0000"}', "application/json", 422),
        (b'{"verdict": "release"}', "text/plain", 415),
        (b'{"verdict": "release"}', "", 415),
    ],
)
def test_bodies_that_are_refused(
    program: TestClient,
    store: Store,
    file_scan: FileScan,
    content: bytes,
    kind: str,
    status: int,
) -> None:
    """What does not fit the description is refused with the reason, and nothing is stored."""
    filed = file_scan()
    answer = program.post(
        f"/api/v1/inspections/{filed.id}/decisions", content=content, headers={"Content-Type": kind}
    )
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert decisions.of_inspection(store, filed.id) == ()


@pytest.mark.slow
def test_events_go_on(program: TestClient, file_scan: FileScan) -> None:
    """Events about inspections come in order, and `after` goes on from where they ended."""
    filed = [file_scan(), file_scan()]
    first = program.get("/api/v1/events").json()
    assert [e["inspection_id"] for e in first["items"] if e["kind"] == "inspected"] == [
        one.id for one in filed
    ]
    assert program.get("/api/v1/events", params={"after": first["after"]}).json()["items"] == []


def test_a_scan_is_pushed(
    scanner: TestClient, store: Store, tmp_path: Path, rng: np.random.Generator
) -> None:
    """A pushed scan is kept unchanged; it waits, or comes with its inspection."""
    image = rng.uniform(0.2, 1.0, (1, 60, 240)).astype(np.float32)
    (path,) = formats.write(Scan(image), tmp_path / "truck.tif")
    files = [("file", ("truck.tif", path.read_bytes()))]
    waiting = scanner.post("/api/v1/scans", files=files)
    assert waiting.status_code == 201, waiting.text
    assert waiting.json()["waiting"]
    sha256 = waiting.json()["sha256"]
    example = Path(__file__).parents[1] / "store" / "inspection.json"
    document = json.loads(example.read_text("utf-8"))
    document["scan"]["sha256"] = sha256
    whole = scanner.post("/api/v1/scans", files=files, data={"inspection": json.dumps(document)})
    assert whole.status_code == 201, whole.text
    filed = inspections.get(store, whole.json()["inspection_id"])
    assert filed is not None
    assert filed.scan_sha256 == sha256
    known = scanner.get(f"/api/v1/scans/{sha256}").json()
    assert known["files"][0]["bytes"] == path.stat().st_size
    assert known["inspections"] == [filed.id]
    assert audit.verify(store).intact


# ── the description, called by a tool that tries what is not thought of ──────────────────────────

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    SCHEMA = schemathesis.openapi.from_dict(api.description())
QUIET = SCHEMA.exclude(operation_id="followEvents")  # it never ends


@pytest.mark.slow
@QUIET.parametrize()
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_description_holds(
    case: schemathesis.Case[Any],
    app: Starlette,
    store: Store,
    file_scan: FileScan,
    account: Callable[..., object],
) -> None:
    """Whatever fits or does not fit the description, the answer is one that it announces."""
    from nii.store import users

    if users.by_login(store, "chief") is None:
        file_scan()
        account("chief", Role.SUPERVISOR)
        account("boss", Role.ADMINISTRATOR)
    name = "boss" if case.operation.definition.raw["operationId"] == "pushScan" else "chief"
    user = users.by_login(store, name)
    assert user is not None
    token = auth.add_token(store, user, "p", list(Right), NOON + timedelta(1), NOON)
    headers = {"Authorization": f"Bearer {token}"}
    case.operation.app = app
    answer = case.call(base_url=f"{ORIGIN}/api/v1", headers=headers, app=app)
    # Rules beyond a schema are answered with 422, such as a release without reason; and that every
    # route asks for a token is claimed in test_guard.py, over all routes.
    excluded = [ignored_auth, positive_data_acceptance]
    case.validate_response(answer, excluded_checks=excluded)
