"""Facts about many inspections as columns, so that any number about them is counted in a moment.

Each inspection is one place in every column: the day it was filed, its site, model, level, highest
score, classes, the first and the newest decision, the newest outcome of an examination. Days are
kept in memory; a day is read again when an event speaks of one of its inspections. Days are those
of UTC. Tests and projected threats (:attr:`nii.store.documents.Kind.TEST`) are left out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Any

import numpy as np
import sqlalchemy as sa
from jaxtyping import Bool, Float32, Int64, UInt64

from nii import taxonomy
from nii.store import audit, tables
from nii.store.database import Store
from nii.store.decisions import Verdict
from nii.store.documents import Kind

NONE = -1
"""Stands in a column for what there is not."""
VERDICTS = tuple(Verdict)
"""A verdict is kept as its place in here."""
_CHANGING = (audit.INSPECTED, audit.LINKED, audit.DECIDED, audit.EXAMINED)
"""Events after which a day is counted anew; a change of sites changes every day."""
_MOST_CHANGES = 20_000
"""From so many changed inspections on, everything is read again."""

Whole = Int64[np.ndarray, " inspection"]


@dataclass(frozen=True, slots=True)
class Facts:
    """Hold the columns; all have the same length, and inspections stand in the order of their id.

    Attributes:
        inspection: id.
        day: ordinal of the day of filing, as :meth:`datetime.date.toordinal`.
        site: id of the site, or `NONE`.
        model: place in the table of models of :class:`Columns`.
        urgency: 0 clear, 1 look, 2 search.
        risk: highest score, 0 to 1.
        classes: bit k is set where a region of the taxonomy's class k was highlighted.
        decisions: how many there are.
        first: verdict of the first decision, as place in `VERDICTS`, or `NONE`.
        newest: verdict of the newest decision.
        officer: who decided first, as place in the table of officers, or `NONE`.
        blind: whether the first decision was made before the regions were shown.
        seconds: from opening the scan to the first decision; nan where not known.
        outcome: 1 something was found, 0 nothing was, `NONE` not examined.
    """

    inspection: Whole
    day: Whole
    site: Whole
    model: Whole
    urgency: Whole
    risk: Float32[np.ndarray, " inspection"]
    classes: UInt64[np.ndarray, " inspection"]
    decisions: Whole
    first: Whole
    newest: Whole
    officer: Whole
    blind: Bool[np.ndarray, " inspection"]
    seconds: Float32[np.ndarray, " inspection"]
    outcome: Whole

    def __len__(self) -> int:
        """Return the number of inspections."""
        return len(self.inspection)

    def where(
        self, chosen: Bool[np.ndarray, " inspection"] | Int64[np.ndarray, " chosen"]
    ) -> Facts:
        """Return the chosen inspections, told by a mask or by their places."""
        return Facts(*(getattr(self, one.name)[chosen] for one in fields(self)))


@dataclass(frozen=True, slots=True)
class Names:
    """Say what the numbers in the columns mean.

    Attributes:
        sites: code by id.
        models: SHA-256 of each model.
        officers: account (None before there were accounts) and name of each officer.
    """

    sites: Mapping[int, str]
    models: tuple[str, ...]
    officers: tuple[tuple[int | None, str], ...]


@dataclass(slots=True)
class Columns:
    """Hold the columns of the days that were asked for; one for each open store.

    Days whose inspections were decided on or examined since are read again before an answer, so an
    answer is never older than the store.
    """

    store: Store
    _days: dict[int, Facts] = field(default_factory=dict)
    _models: dict[str, int] = field(default_factory=dict)
    _officers: dict[tuple[int | None, str], int] = field(default_factory=dict)
    _seen: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def between(self, first: date, last: date) -> tuple[Facts, Names]:
        """Return all inspections that were filed on some days, both ends included.

        Raises:
            ValueError: the last day is before the first.
        """
        if last < first:
            msg = f"from {first} to {last} there is no day"
            raise ValueError(msg)
        wanted = range(first.toordinal(), last.toordinal() + 1)
        with self._lock, self.store.read() as connection:
            self._forget_changed(connection)
            missing = [day for day in wanted if day not in self._days]
            if missing:
                self._load(connection, missing[0], missing[-1])
            parts = [self._days[day] for day in wanted if len(self._days[day])]
            sites = sa.select(tables.sites.c.id, tables.sites.c.code)
            codes = {row.id: row.code for row in connection.execute(sites)}
            users = sa.select(tables.users.c.id, tables.users.c.name)
            called = {row.id: row.name for row in connection.execute(users)}
        officers = tuple((user, called.get(user, name)) for user, name in self._officers)
        return _joined(parts), Names(codes, tuple(self._models), officers)

    def span(self) -> tuple[date, date] | None:
        """Return the first and the last day with an inspection; None where there is none."""
        ends = sa.select(sa.func.min(tables.queue.c.filed_at), sa.func.max(tables.queue.c.filed_at))
        with self.store.read() as connection:
            low, high = connection.execute(ends).one()
        return None if low is None else (_date_of(low), _date_of(high))

    def _forget_changed(self, connection: sa.Connection) -> None:
        """Drop the days of inspections that newer events speak of."""
        events = tables.events.c
        newest = connection.execute(sa.select(sa.func.max(events.number))).scalar_one() or 0
        if newest == self._seen:
            return
        since = events.number > self._seen
        moved = sa.select(sa.exists().where(since & (events.kind == audit.SITE_CHANGED)))
        if not 0 < newest - self._seen <= _MOST_CHANGES or connection.execute(moved).scalar_one():
            self._days.clear()
        elif self._days:
            changed = (
                sa.select(sa.func.substr(tables.queue.c.filed_at, 1, 10))
                .distinct()
                .join_from(
                    tables.events,
                    tables.queue,
                    tables.queue.c.inspection_id == events.inspection_id,
                )
                .where(since, events.kind.in_(_CHANGING))
            )
            for text in connection.execute(changed).scalars():
                self._days.pop(date.fromisoformat(text).toordinal(), None)
        self._seen = newest

    def _load(self, connection: sa.Connection, first: int, last: int) -> None:
        """Read a stretch of days."""
        low = date.fromordinal(first).isoformat()
        high = (date.fromordinal(last) + timedelta(days=1)).isoformat()
        filed = (tables.queue.c.filed_at >= low) & (tables.queue.c.filed_at < high)
        facts = self._read(connection, filed)
        order = np.argsort(facts.day, kind="stable")
        days = facts.day[order]
        edges = np.searchsorted(days, np.arange(first, last + 2))
        empty = _joined([])
        for place, day in enumerate(range(first, last + 1)):
            chosen = order[edges[place] : edges[place + 1]]
            self._days[day] = facts.where(chosen) if len(chosen) else empty

    def _read(self, connection: sa.Connection, filed: sa.ColumnElement[bool]) -> Facts:
        queue = tables.queue.c
        query = sa.select(
            queue.inspection_id, queue.filed_at, queue.site_id, queue.urgency, queue.risk
        )
        rows = connection.execute(query.where(filed).order_by(queue.inspection_id)).all()
        ids = np.asarray([row[0] for row in rows], np.int64)
        count = len(ids)
        day_of: dict[str, int] = {}
        facts = Facts(
            inspection=ids,
            day=np.asarray([_ordinal(row[1], day_of) for row in rows], np.int64),
            site=np.asarray([NONE if row[2] is None else row[2] for row in rows], np.int64),
            model=np.full(count, NONE, np.int64),
            urgency=np.asarray([row[3] for row in rows], np.int64),
            risk=np.asarray([row[4] for row in rows], np.float32),
            classes=np.zeros(count, np.uint64),
            decisions=np.zeros(count, np.int64),
            first=np.full(count, NONE, np.int64),
            newest=np.full(count, NONE, np.int64),
            officer=np.full(count, NONE, np.int64),
            blind=np.zeros(count, np.bool_),
            seconds=np.full(count, np.nan, np.float32),
            outcome=np.full(count, NONE, np.int64),
        )
        if count:
            self._add_models(connection, facts)
            _add_classes(connection, filed, facts)
            self._add_decisions(connection, filed, facts)
            _add_outcomes(connection, filed, facts)
        return facts.where(~_tests(connection, filed, facts))

    def _add_models(self, connection: sa.Connection, facts: Facts) -> None:
        table = tables.inspections.c
        query = sa.select(table.id, table.model_sha256)
        whole = connection.execute(sa.select(sa.func.max(table.id))).scalar_one()
        low, high = int(facts.inspection[0]), int(facts.inspection[-1])
        if 2 * (high - low) < whole:  # else the index alone is read, which is much smaller
            query = query.where(table.id >= low, table.id <= high)
        rows = connection.execute(query).all()
        places = _places(facts, [row[0] for row in rows])
        models = [self._models.setdefault(row[1], len(self._models)) for row in rows]
        inside = places >= 0
        facts.model[places[inside]] = np.asarray(models, np.int64)[inside]

    def _add_decisions(
        self, connection: sa.Connection, filed: sa.ColumnElement[bool], facts: Facts
    ) -> None:
        table = tables.decisions.c
        columns = (table.inspection_id, table.verdict, table.user_id, table.officer)
        query = sa.select(*columns, table.seconds, table.blind).join_from(
            tables.decisions, tables.queue, tables.queue.c.inspection_id == table.inspection_id
        )
        rows = connection.execute(query.where(filed).order_by(table.id)).all()
        places = _places(facts, [row[0] for row in rows])
        for place, (_, verdict, user, name, seconds, blind) in zip(
            places.tolist(), rows, strict=True
        ):
            facts.decisions[place] += 1
            facts.newest[place] = VERDICTS.index(verdict)
            if facts.decisions[place] == 1:
                who = (user, "" if user is not None else name)
                facts.first[place] = facts.newest[place]
                facts.officer[place] = self._officers.setdefault(who, len(self._officers))
                facts.blind[place] = blind
                facts.seconds[place] = np.nan if seconds is None else seconds


def _add_outcomes(connection: sa.Connection, filed: sa.ColumnElement[bool], facts: Facts) -> None:
    table = tables.outcomes.c
    query = sa.select(table.inspection_id, table.found).join_from(
        tables.outcomes, tables.queue, tables.queue.c.inspection_id == table.inspection_id
    )
    rows = connection.execute(query.where(filed).order_by(table.id)).all()
    places = _places(facts, [row[0] for row in rows])
    facts.outcome[places] = np.asarray([int(row[1]) for row in rows], np.int64)  # newest last


def _add_classes(connection: sa.Connection, filed: sa.ColumnElement[bool], facts: Facts) -> None:
    table = tables.regions.c
    query = sa.select(table.inspection_id, table.class_name).join_from(
        tables.regions, tables.queue, tables.queue.c.inspection_id == table.inspection_id
    )
    rows = connection.execute(query.where(filed)).all()
    bits = {row.name: np.uint64(1) << np.uint64(row.class_id) for row in taxonomy.classes()}
    unknown = np.uint64(0)
    values = np.asarray([bits.get(row[1], unknown) for row in rows], np.uint64)
    np.bitwise_or.at(facts.classes, _places(facts, [row[0] for row in rows]), values)


def _tests(
    connection: sa.Connection, filed: sa.ColumnElement[bool], facts: Facts
) -> Bool[np.ndarray, " inspection"]:
    table, papers = tables.inspections.c, tables.documents.c
    query = (
        sa.select(table.id)
        .join_from(tables.documents, tables.inspections, papers.scan_sha256 == table.scan_sha256)
        .join(tables.queue, tables.queue.c.inspection_id == table.id)
        .where(papers.kind == Kind.TEST.value, filed)
    )
    result = np.zeros(len(facts), np.bool_)
    result[_places(facts, connection.execute(query).scalars().all())] = True
    return result


def _places(facts: Facts, ids: Sequence[int]) -> Int64[np.ndarray, " row"]:
    """Return where inspections stand in the columns; `NONE` for those that do not."""
    wanted = np.asarray(ids, np.int64)
    places = np.searchsorted(facts.inspection, wanted).astype(np.int64)
    inside = places < len(facts)
    inside[inside] = facts.inspection[places[inside]] == wanted[inside]
    return np.where(inside, places, NONE)


def _ordinal(at: str, known: dict[str, int]) -> int:
    text = at[:10]
    if text not in known:
        known[text] = date.fromisoformat(text).toordinal()
    return known[text]


def _date_of(at: Any) -> date:  # noqa: ANN401
    return date.fromisoformat(str(at)[:10])


def _joined(parts: Iterable[Facts]) -> Facts:
    """Return columns one after the other; empty ones where there are none."""
    found = list(parts)
    if not found:
        none, number = np.zeros(0, np.int64), np.zeros(0, np.float32)
        bits, no = np.zeros(0, np.uint64), np.zeros(0, np.bool_)
        return Facts(
            none, none, none, none, none, number, bits, none, none, none, none, no, number, none
        )
    return Facts(
        *(np.concatenate([getattr(one, f.name) for one in found]) for f in fields(found[0]))
    )
