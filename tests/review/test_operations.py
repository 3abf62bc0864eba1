"""Claims about operations: one row of the table is route, check and description."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from nii.review import api, operations
from nii.review.auth import Right
from nii.store.inspections import Filed
from nii.store.users import Role


def test_names_and_rights(client: TestClient) -> None:
    """Names are unique, and the document says which scope each operation needs."""
    names = [operation.name for operation in api.OPERATIONS]
    assert len(set(names)) == len(names)
    document = client.get("/api/v1/openapi.json").json()
    for operation in api.OPERATIONS:
        described = document["paths"][operation.path][operation.method.lower()]
        assert f"`{operation.right.value}`" in described["description"]
        given = {parameter["name"] for parameter in described["parameters"]}
        assert set(operation.query) <= given


@pytest.mark.slow
@pytest.mark.parametrize("operation", api.OPERATIONS, ids=lambda operation: operation.name)
def test_rights_are_asked_for(
    browse: Callable[..., TestClient],
    file_scan: Callable[..., Filed],
    operation: operations.Operation,
) -> None:
    """Who lacks the right gets 403, before anything of the request is read."""
    filed = file_scan()
    path = operation.path.replace("{id}", str(filed.id)).replace("{sha256}", filed.scan_sha256)
    lacks = {
        Right.DECIDE: Role.AUDITOR,
        Right.PUSH: Role.OFFICER,
    }.get(operation.right)
    if lacks is None:
        pytest.skip("every role has this right")
    client = browse("somebody", lacks)
    answer = client.request(operation.method, f"/api/v1{path}", content=b"")
    assert answer.status_code == 403
    assert operation.right.value in answer.json()["detail"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("limit=0", "outside"),
        ("limit=x", "integer"),
        ("limit=1&limit=2", "twice"),
        ("odd=1", "no parameter"),
        ("after=-1", "outside"),
    ],
)
def test_odd_parameters_are_refused(client: TestClient, query: str, words: str) -> None:
    """A parameter that is unknown, twice there or out of its range is told."""
    answer = client.get(f"/api/v1/inspections?{query}")
    assert answer.status_code == 400
    assert words in answer.json()["detail"]


@pytest.mark.slow
def test_methods_of_a_path(client: TestClient) -> None:
    """A method that a path does not have gets 405 and the methods that it has."""
    answer = client.put("/api/v1/inspections/1/claim", json={})
    assert answer.status_code == 405
    assert set(answer.headers["Allow"].split(", ")) == {"POST", "DELETE"}
