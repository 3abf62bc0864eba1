"""Tests of the columns: they hold what the store holds, on both databases, and never less new."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
import sqlalchemy as sa

from nii import taxonomy
from nii.inspection import Level
from nii.store import audit, sites, tables
from nii.store.database import Store, timestamp
from nii.store.inspections import Filed
from nii.store.statistics import NONE, VERDICTS, Columns, Facts

DAY = date(2026, 1, 2)
AT = datetime(2026, 1, 2, 12, tzinfo=UTC)
FileScan = Callable[..., Filed]


def queued(store: Store, filed: Filed, at: datetime = AT, site: int | None = None) -> None:
    """Set when and where a scan was filed, whether or not the store queued it by itself."""
    row = {"filed_at": timestamp(at), "site_id": site}
    new = row | {
        "inspection_id": filed.id,
        "state": "open",
        "why": "new",
        "urgency": filed.inspection.level.rank,
        "risk": 0.5,
        "waiting_since": timestamp(at),
        "blind": False,
        "sampled": False,
    }
    with store.write() as connection:
        same = tables.queue.c.inspection_id == filed.id
        if not connection.execute(sa.update(tables.queue).where(same).values(row)).rowcount:
            connection.execute(sa.insert(tables.queue).values(new))


def decide(store: Store, filed: Filed, verdict: str = "inspect", **facts: object) -> None:
    """Add a decision and its event."""
    row = {"inspection_id": filed.id, "verdict": verdict, "reason": "", "officer": "A"}
    with store.write() as connection:
        new = sa.insert(tables.decisions).values(row | {"decided_at": timestamp(AT)} | facts)
        made = connection.execute(new.returning(tables.decisions)).one()._asdict()
        audit.append(connection, audit.Entry(audit.DECIDED, filed.id, made), AT)


def examine(store: Store, filed: Filed, *, found: bool) -> None:
    """Add an outcome and an event."""
    row = {"inspection_id": filed.id, "found": found, "officer": "B", "examined_at": timestamp(AT)}
    with store.write() as connection:
        connection.execute(sa.insert(tables.outcomes).values(row))
        audit.append(connection, audit.Entry("examined", filed.id, {"found": found}), AT)


def only(columns: Columns, first: date = DAY, last: date | None = None) -> Facts:
    """Return the facts without the names."""
    return columns.between(first, last or first)[0]


def test_columns_hold_what_was_stored(store: Store, file_scan: FileScan) -> None:
    """Level, classes, decisions, officer, seconds, blindness and outcome are those of the rows."""
    filed = [file_scan(f"scan {k}", level) for k, level in enumerate((Level.SEARCH, Level.CLEAR))]
    for one in filed:
        queued(store, one)
    decide(store, filed[0], "refer", seconds=12.5, blind=True)
    decide(store, filed[0], "inspect", officer="B", seconds=3.0)
    examine(store, filed[0], found=False)
    examine(store, filed[0], found=True)
    facts, names = Columns(store).between(DAY, DAY)
    assert facts.inspection.tolist() == [one.id for one in filed]
    assert facts.urgency.tolist() == [2, 0]
    assert facts.day.tolist() == [DAY.toordinal()] * 2
    bits = sum(1 << taxonomy.by_name(name).class_id for name in ("firearm", "brick"))
    assert facts.classes.tolist() == [bits, 0]
    assert facts.decisions.tolist() == [2, 0]
    verdicts = [VERDICTS.index(verdict) for verdict in ("refer", "inspect")]
    assert [facts.first[0], facts.newest[0]] == verdicts
    assert (facts.first[1], facts.newest[1], facts.officer[1], facts.outcome[1]) == (NONE,) * 4
    assert names.officers[facts.officer[0]] == (None, "A")
    assert (facts.blind.tolist(), facts.outcome.tolist()) == ([True, False], [1, NONE])
    assert facts.seconds[0] == 12.5
    assert np.isnan(facts.seconds[1])
    assert [names.models[k] for k in facts.model] == ["1" * 64] * 2


def test_an_answer_is_never_older_than_the_store(store: Store, file_scan: FileScan) -> None:
    """A scan, a decision or an outcome after the first answer stands in the second."""
    columns = Columns(store)
    first = file_scan("one")
    queued(store, first)
    assert only(columns).decisions.tolist() == [0]
    decide(store, first)
    assert only(columns).decisions.tolist() == [1]
    examine(store, first, found=True)
    assert only(columns).outcome.tolist() == [1]
    queued(store, file_scan("two"))
    assert len(only(columns)) == 2


def test_a_scanner_that_moves_takes_its_scans_along(store: Store, file_scan: FileScan) -> None:
    """When somebody says at which site a scanner stands, days that are known are read anew."""
    columns = Columns(store)
    queued(store, file_scan("one"))
    assert only(columns).site.tolist() == [NONE]
    by = audit.Actor("admin")
    site = sites.add(store, "post-1", "Post 1", by, AT)
    scanner = sites.scanners(store)[0]
    sites.assign(store, scanner.id, scanner.name, site.id, by, AT)
    assert only(columns).site.tolist() == [site.id]


@pytest.mark.slow
def test_days_are_those_of_filing(store: Store, file_scan: FileScan) -> None:
    """A stretch of days holds exactly the scans filed on them, however they are asked for."""
    midnight = datetime(2026, 1, 2, tzinfo=UTC)
    times = [midnight + timedelta(hours=12 * k) for k in range(-4, 8)]
    filed = [file_scan(f"scan {k}") for k in range(len(times))]
    for one, at in zip(filed, times, strict=True):
        queued(store, one, at)
    columns = Columns(store)
    for first in range(-2, 4):
        for last in range(first, 4):
            days = DAY + timedelta(days=first), DAY + timedelta(days=last)
            wanted = [
                one.id
                for one, at in zip(filed, times, strict=True)
                if days[0] <= at.date() <= days[1]
            ]
            assert sorted(only(columns, *days).inspection.tolist()) == wanted
    assert len(only(Columns(store), DAY, DAY + timedelta(days=1))) == 4
    assert columns.span() == (DAY - timedelta(days=2), DAY + timedelta(days=3))


def test_tests_are_left_out(store: Store, file_scan: FileScan) -> None:
    """A scan with a document of kind test counts nowhere."""
    real, tip = file_scan("real"), file_scan("tip")
    for one in (real, tip):
        queued(store, one)
    row = {"scan_sha256": tip.scan_sha256, "kind": "test", "value": "TIP"}
    with store.write() as connection:
        linked = row | {"linked_at": timestamp(AT), "linked_by": "x"}
        connection.execute(sa.insert(tables.documents).values(linked))
    assert only(Columns(store)).inspection.tolist() == [real.id]


def test_sites_have_codes_and_accounts_have_names(store: Store, file_scan: FileScan) -> None:
    """A site is told by its code, an officer with an account by the name of the account."""
    with store.write() as connection:
        site = sa.insert(tables.sites).values(code="post-1", name="Post 1")
        number = connection.execute(site.returning(tables.sites.c.id)).scalar_one()
        person = dict.fromkeys(("password_hash", "subject", "group_name"))
        person |= {"login": "a", "name": "Aida", "role": "officer", "language": "en"}
        person |= {"must_change": False, "failures": 0, "created_at": timestamp(AT)}
        made = sa.insert(tables.users).values(person).returning(tables.users.c.id)
        user = connection.execute(made).scalar_one()
    filed = file_scan("one")
    queued(store, filed, site=number)
    decide(store, filed, user_id=user, officer="old name")
    facts, names = Columns(store).between(DAY, DAY)
    assert names.sites[int(facts.site[0])] == "post-1"
    assert names.officers[facts.officer[0]] == (user, "Aida")


def test_an_empty_store_and_days_that_run_backwards(store: Store) -> None:
    """Nothing filed gives empty columns; a stretch of no days is an error."""
    columns = Columns(store)
    assert columns.span() is None
    assert len(only(columns)) == 0
    with pytest.raises(ValueError, match="no day"):
        columns.between(DAY, DAY - timedelta(days=1))
