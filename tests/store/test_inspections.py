"""Claims about filed inspections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nii.errors import NiiError
from nii.inspection import Inspection, Level
from nii.store import audit, decisions, inspections, scans, tables
from nii.store.database import Store
from nii.store.inspections import Filed, Query

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
FileScan = Callable[..., Filed]
Example = Callable[..., Inspection]


def test_round_trip(store: Store, file_scan: FileScan, example: Example) -> None:
    """An inspection comes back as it was filed."""
    filed = file_scan("one")
    assert filed.inspection == example(filed.scan_sha256)
    assert inspections.get(store, filed.id) == filed
    assert inspections.latest(store, filed.scan_sha256) == filed
    assert inspections.get(store, filed.id + 1) is None
    assert inspections.latest(store, "0" * 64) is None


def test_one_model_inspects_a_scan_once(
    store: Store, file_scan: FileScan, example: Example
) -> None:
    """Filing again with the same model returns the first; another model adds a newer one."""
    first = file_scan("one")
    assert file_scan("one", Level.CLEAR) == first
    kept = scans.get(store, first.scan_sha256)
    assert kept is not None
    other = example(kept.sha256, Level.LOOK)
    other = replace(other, model=replace(other.model, sha256="2" * 64))
    second = inspections.add(store, kept, other, NOON)
    assert second.id != first.id
    assert inspections.latest(store, kept.sha256) == second
    assert audit.verify(store).intact


def test_another_scan_is_refused(store: Store, tmp_path: Path, example: Example) -> None:
    """An inspection is filed with the scan it is about, or not at all."""
    path = tmp_path / "a.tif"
    path.write_bytes(b"scan")
    with pytest.raises(NiiError, match="changed while"):
        inspections.add(store, scans.keep(store, [path]), example("0" * 64), NOON)


@pytest.mark.parametrize(
    "wrong",
    [
        {"class_name": "x" * 65},
        {"class_name": "a\x00b"},
        {"category": ""},
        {"score": 1.5},
        {"score": float("nan")},
    ],
)
def test_what_no_model_says_is_refused(
    store: Store, file_scan: FileScan, wrong: dict[str, Any]
) -> None:
    """An inspection from outside that some engine could not hold is refused by all of them."""

    def change(inspection: Inspection) -> Inspection:
        first, *rest = inspection.regions
        return replace(inspection, regions=(replace(first, **wrong), *rest))

    with pytest.raises(NiiError):
        file_scan("one", change=change)
    assert audit.head(store).number == 0


@pytest.mark.parametrize("step", ["register", "append"])
def test_all_or_nothing(
    store: Store, file_scan: FileScan, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """When a step of filing fails, no table holds a part of it."""

    def fail(*_: object) -> None:
        raise RuntimeError(step)

    monkeypatch.setattr(scans if step == "register" else audit, step, fail)
    with pytest.raises(RuntimeError, match=step):
        file_scan("one")
    with store.read() as connection:
        for table in tables.metadata.tables.values():
            count = sa.select(sa.func.count()).select_from(table)
            assert connection.execute(count).scalar_one() == 0


@pytest.mark.slow
def test_page_follows_urgency_then_age(store: Store, file_scan: FileScan) -> None:
    """Pages of any length together give: search before look before clear, oldest first."""
    levels = [Level.CLEAR, Level.SEARCH, Level.LOOK, Level.SEARCH, Level.CLEAR, Level.LOOK]
    filed = [file_scan(str(index), level) for index, level in enumerate(levels)]
    expected = sorted(filed, key=lambda one: (-one.inspection.level.rank, one.id))
    for limit in (1, 2, 4, 50):
        found: list[Filed] = []
        before = None
        while part := inspections.page(store, Query(limit=limit, before=before)):
            found += part
            before = part[-1].id
        assert found == expected
    assert inspections.page(store, Query(before=999)) == ()


def test_filters(store: Store, file_scan: FileScan) -> None:
    """Level, class and decided-or-not each narrow the page and the counts."""
    search, look, clear = (file_scan(level.value, level) for level in reversed(Level))
    decisions.add(store, look.id, decisions.Opinion(decisions.Verdict.RELEASE, "A. Officer"), NOON)
    assert inspections.page(store, Query(level=Level.CLEAR)) == (clear,)
    assert inspections.page(store, Query(class_name="firearm")) == (search,)
    assert inspections.page(store, Query(undecided=True)) == (search, clear)
    assert inspections.counts(store, Query()) == dict.fromkeys(Level, 1)
    undecided = inspections.counts(store, Query(level=Level.CLEAR, undecided=True))
    assert undecided == {Level.CLEAR: 1, Level.LOOK: 0, Level.SEARCH: 1}


def test_without_event(store: Store, file_scan: FileScan) -> None:
    """An inspection counts as lacking an event until that event is logged."""
    first, second = file_scan("one"), file_scan("two")
    assert inspections.without_event(store, audit.PACKAGED) == (first.id, second.id)
    with store.write() as connection:
        audit.append(connection, audit.Entry(audit.PACKAGED, first.id, {}), NOON)
    assert inspections.without_event(store, audit.PACKAGED) == (second.id,)
