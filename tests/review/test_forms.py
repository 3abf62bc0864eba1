"""Claims about the JSON documents of the API: each fits the schema that describes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator
from starlette.testclient import TestClient

from nii.inspection import Level
from nii.review import forms
from nii.store.inspections import Filed


def validator(name: str) -> Draft202012Validator:
    """Return a check of one document, its references followed."""
    whole = {**forms.SCHEMAS[name], "components": {"schemas": forms.SCHEMAS}}
    return Draft202012Validator(whole)


@pytest.mark.parametrize("name", list(forms.SCHEMAS))
def test_schemas_are_schemas(name: str) -> None:
    """Every schema is one by the standard, and its required fields are described."""
    Draft202012Validator.check_schema(forms.SCHEMAS[name])
    assert set(forms.SCHEMAS[name]["required"]) <= set(forms.SCHEMAS[name]["properties"])


def test_documents_fit(client: TestClient, file_scan: Callable[..., Filed]) -> None:
    """What the API gives out fits the schema, field by field."""
    filed = file_scan(Level.SEARCH)
    here = f"/api/v1/inspections/{filed.id}"
    client.post("/next")
    posts = {
        "Decision": (f"{here}/decisions", {"verdict": "rescan", "reason_code": "cut_off"}),
        "Mark": (f"{here}/marks", {"mark": "rejected", "region_number": 1}),
        "Outcome": (f"{here}/outcomes", {"found": False}),
    }
    for name, (path, body) in posts.items():
        validator(name).validate(client.post(path, json=body).json())
    gets = {
        "WholeInspection": here,
        "QueuePage": "/api/v1/queue?state=all",
        "Scan": f"/api/v1/scans/{filed.scan_sha256}",
        "EventPage": "/api/v1/events",
    }
    for name, path in gets.items():
        found = client.get(path).json()
        validator(name).validate(found)
        assert len(str(found)) > 60
