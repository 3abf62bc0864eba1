"""Tests of the evidence package from the web app."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from nii import dsse
from nii.exchange.evidence_check import against_store, check
from nii.store import audit
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.users import Role

Browse = Callable[..., TestClient]


def test_a_supervisor_saves_a_package_that_is_intact(
    browse: Browse, app: Starlette, store: Store, file_scan: Callable[..., Filed], tmp_path: Path
) -> None:
    """The file that the browser gets is whole, signed, and its making stands in the log."""
    filed, key = file_scan(), dsse.new_key()
    dsse.write_key_pair(tmp_path / "station", key)
    desk = app.state.desk
    signing = replace(desk.settings, evidence_key=tmp_path / "station")
    app.state.desk = replace(desk, settings=signing)
    client = browse("carla", Role.SUPERVISOR)
    answer = client.post(f"/inspections/{filed.id}/evidence", data={"reason": " case\n7 "})
    assert answer.status_code == 200
    assert ".evidence.zip" in answer.headers["content-disposition"]
    path = tmp_path / "a.zip"
    path.write_bytes(answer.content)
    report = check(path, [key.public_key()])
    assert report.faults == ()
    assert report.signed
    assert against_store(path, store) == ()
    with zipfile.ZipFile(path) as archive:
        last = json.loads(archive.read("log.json"))["events"][-1]
    payload = json.loads(last["payload"])
    assert (last["kind"], payload["by"], payload["reason"]) == ("exported", "Carla", "case 7")


@pytest.mark.parametrize("role", [Role.OFFICER, Role.ADMINISTRATOR])
def test_it_is_for_supervisors_and_auditors(
    browse: Browse, store: Store, file_scan: Callable[..., Filed], role: Role
) -> None:
    """Others get nothing, and nothing is logged as exported."""
    filed = file_scan()
    client = browse("someone", role)
    before = audit.head(store).number
    assert client.post(f"/inspections/{filed.id}/evidence").status_code == 403
    assert audit.head(store).number == before


def test_another_site_is_not_found(browse: Browse, file_scan: Callable[..., Filed]) -> None:
    """A supervisor of one site gets no package of a scan elsewhere, nor of none."""
    filed = file_scan()
    client = browse("carla", Role.SUPERVISOR, sites=(2,))
    assert client.post(f"/inspections/{filed.id}/evidence").status_code == 404
    assert client.post("/inspections/99/evidence").status_code == 404
