"""Claims about sites and scanners."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from nii.errors import NiiError
from nii.inspection import Inspection, Level
from nii.store import audit, queue, sites
from nii.store.audit import Actor
from nii.store.database import Store
from nii.store.inspections import Filed

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
ROOT = Actor("root")


def _made_by(scanner: str | None) -> Callable[[Inspection], Inspection]:
    def change(inspection: Inspection) -> Inspection:
        return replace(inspection, scan=replace(inspection.scan, scanner=scanner))

    return change


def test_a_scanner_appears_with_its_first_scan(
    store: Store, file_scan: Callable[..., Filed]
) -> None:
    """Scans name their scanner; a new name makes one, and hostile names are only names."""
    for number, name in enumerate(("Lane 1", "Lane 1", None, " ", "'; DROP\x00 TABLE <b>")):
        file_scan(str(number), Level.CLEAR, _made_by(name))
    assert [each.code for each in sites.scanners(store)] == ["'; DROP? TABLE <b>", "Lane 1"]


def test_scans_follow_their_scanner_to_its_site(
    store: Store, file_scan: Callable[..., Filed]
) -> None:
    """Once somebody says where a scanner stands, its scans of before and after stand there."""
    before = file_scan("one", Level.CLEAR, _made_by("Lane 1"))
    (scanner,) = sites.scanners(store)
    site = sites.add(store, "KG-01", "Border post", ROOT, NOON)
    assert sites.listing(store) == (site,)
    sites.assign(store, scanner.id, "First lane", site.id, ROOT, NOON)
    after = file_scan("two", Level.CLEAR, _made_by("Lane 1"))
    for filed in (before, after):
        item = queue.get(store, filed.id)
        assert item is not None
        assert (item.site, item.site_id, item.scanner) == ("KG-01", site.id, "First lane")
    assert audit.verify(store).intact


def test_a_scanner_can_be_there_before_its_scans(store: Store) -> None:
    """An administrator adds scanners beforehand; adding one again changes it."""
    site = sites.add(store, "A", "A", ROOT, NOON)
    first = sites.add_scanner(store, "Lane 1", "Lane", None, ROOT, NOON)
    second = sites.add_scanner(store, "Lane 1", "Lane", site.id, ROOT, NOON)
    assert (first.id, second.site_id) == (second.id, site.id)
    assert sites.scanners(store) == (second,)


def test_unknown_places_are_refused(store: Store) -> None:
    """A site is there once, and a scanner stands at one that is there."""
    site = sites.add(store, "A", "A", ROOT, NOON)
    with pytest.raises(NiiError, match="this code"):
        sites.add(store, " A ", "B", ROOT, NOON)
    scanner = sites.add_scanner(store, "Lane 1", "Lane", site.id, ROOT, NOON)
    for scanner_id, site_id in ((scanner.id, 99), (99, site.id)):
        with pytest.raises(NiiError, match="nothing with this id"):
            sites.assign(store, scanner_id, "Lane", site_id, ROOT, NOON)
    assert sites.scanners(store) == (scanner,)
