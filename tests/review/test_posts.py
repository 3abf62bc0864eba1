"""Claims about the settings of queue, sites and scanners."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from nii.inspection import Level
from nii.store import queue, settings, sites
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.queue import QueueSettings
from nii.store.users import Role

RULES = {
    "act": "rules",
    "audit_share": "5",
    "audit_wait_minutes": "30",
    "blind_share": "12.5",
    "claim_minutes": "4",
    "reason_from": "look",
    "second_from": "search",
}


@pytest.fixture
def boss(browse: Callable[..., TestClient]) -> TestClient:
    """Give a browser in which an administrator is logged in."""
    return browse("boss", Role.ADMINISTRATOR)


@pytest.mark.slow
def test_rules_are_kept(boss: TestClient, store: Store) -> None:
    """What the form says is what the queue goes by, and what the form shows again."""
    assert boss.post("/settings", data=RULES).status_code == 303
    assert settings.get(store, queue.SETTINGS, QueueSettings) == QueueSettings(
        0.05, 30.0, 0.125, 4.0, Level.LOOK, Level.SEARCH
    )
    text = boss.get("/settings").text
    assert 'value="12.5"' in text
    assert '<option value="look" selected>' in text


@pytest.mark.slow
@pytest.mark.parametrize(
    "change",
    [
        {"audit_share": "101"},
        {"blind_share": "-1"},
        {"claim_minutes": "0"},
        {"claim_minutes": "nan"},
        {"reason_from": "never"},
        {"audit_share": ""},
        {"act": "nothing"},
    ],
)
def test_odd_rules_are_refused(boss: TestClient, store: Store, change: dict[str, str]) -> None:
    """A number out of its range changes nothing."""
    assert boss.post("/settings", data=RULES | change).status_code == 422
    assert settings.get(store, queue.SETTINGS, QueueSettings) == QueueSettings()


@pytest.mark.slow
def test_a_scanner_is_placed(
    boss: TestClient,
    browse: Callable[..., TestClient],
    store: Store,
    file_scan: Callable[..., Filed],
) -> None:
    """Once its scanner stands at a site, a scan is seen by the officers of that site."""
    filed = file_scan()
    boss.post("/settings", data={"act": "site", "code": "A1", "name": "Gate"})
    (site,) = sites.listing(store)
    (scanner,) = sites.scanners(store)
    form = {"act": "scanner", "scanner": str(scanner.id), "name": "Lane 1", "site": str(site.id)}
    assert boss.post("/settings", data=form).status_code == 303
    mine, other = browse("mine", sites=(site.id,)), browse("other", sites=(site.id + 1,))
    assert mine.get(f"/inspections/{filed.id}").status_code == 200
    assert other.get(f"/inspections/{filed.id}").status_code == 404
    assert boss.post("/settings", data=form | {"site": "99"}).status_code == 422
