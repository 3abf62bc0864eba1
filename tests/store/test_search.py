"""Claims about the search by class and document: both ways find the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from nii.inspection import Inspection, Level
from nii.store import claims, queue, search
from nii.store.database import Store
from nii.store.inspections import Filed
from nii.store.queue import Query
from nii.store.users import User

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
FileScan = Callable[..., Filed]


def _numbered(number: str, class_name: str) -> Callable[[Inspection], Inspection]:
    def change(inspection: Inspection) -> Inspection:
        regions = tuple(replace(region, class_name=class_name) for region in inspection.regions)
        scan = replace(inspection.scan, container_numbers=(number,))
        return replace(inspection, regions=regions, scan=scan)

    return change


@pytest.mark.slow
@pytest.mark.parametrize("asked", [{}, {"class_name": "firearm"}, {"document": "CSQU"}])
def test_what_is_common_and_what_is_rare_is_found_alike(
    store: Store, file_scan: FileScan, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """Whether rows are collected or asked one by one, pages and counts are the same."""
    for index in range(12):
        number = ("CSQU3054383", "MSCU6639870")[index % 2]
        name = ("firearm", "brick", "cigarettes")[index % 3]
        file_scan(str(index), list(Level)[index % 3], _numbered(number, name))
    for query in (Query(**asked), Query(**{"document": "M", "class_name": "firearm", **asked})):
        found = []
        for limit in (1, 10**6):
            monkeypatch.setattr(search, "_COMMON", limit)
            page = [item.inspection_id for item in queue.page(store, query)]
            found.append((page, queue.counts(store, query)))
        assert found[0] == found[1]
        assert sum(found[0][1].values()) == len(found[0][0])


def test_the_audit_sample_has_an_index_of_its_own(
    store: Store, file_scan: FileScan, add_user: Callable[..., User]
) -> None:
    """The next scan is looked for without reading every open inspection."""
    if store.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads a small table as a whole, whatever indices it has")
    file_scan("one")
    asked: list[tuple[str, Any]] = []
    sa.event.listen(
        store.engine,
        "before_cursor_execute",
        lambda _c, _u, statement, parameters, _x, _m: asked.append((statement, parameters)),
    )
    assert claims.next_for(store, add_user("anna"), NOON + timedelta(hours=9)) is not None
    (sample,) = [one for one in asked if "sampled IS" in one[0] and "SELECT" in one[0]]
    with store.read() as connection:
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sample[0]}", sample[1]).all()
    assert any("ix_queue_sampled" in str(step) for step in plan), plan
