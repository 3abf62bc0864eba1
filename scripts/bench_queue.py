"""Measure the officers' queue and the check of the log with many inspections, on either engine.

A store is filled in bulk with made-up inspections: scanners at sites, regions, container numbers,
decisions and the chained events that go with all of them. Then every kind of page is asked for, and
the log is checked. ``--explain`` prints the plan of each query.

Example: python scripts/bench_queue.py --inspections 200000
Example: python scripts/bench_queue.py --url postgresql://user@host/empty_database
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from math import log
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from nii.inspection import Level
from nii.provenance import sha256_of_bytes
from nii.store import audit, claims, queue, records, tables, users
from nii.store.audit import Actor, canonical
from nii.store.database import Store, open_store, timestamp
from nii.store.queue import Query, State
from nii.store.users import Credentials, Profile, Role

TEXT = canonical(
    json.loads(
        (Path(__file__).parents[1] / "tests" / "store" / "inspection.json").read_text("utf-8")
    )
    | {"scan": {"sha256": "@sha@", "container_numbers": ["@box@"]}}
)
"""Stands for what a model said: of the usual length, and nobody reads it here."""
START = datetime(2026, 1, 1, tzinfo=UTC)
CLASSES = ("firearm", "explosive", "cigarettes", "cash", "person", "animal", "waste")
SITES, SCANNERS = 20, 50
AT_ONCE = 5000
CLEAR_SHARE, LOOK_SHARE, DECIDED_SHARE = 0.8, 0.15, 0.25
Row = dict[str, Any]


def main() -> None:
    """Fill a store, ask for pages, check the log, print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inspections", type=int, default=200_000)
    parser.add_argument("--url", help="an empty PostgreSQL database; a SQLite file if not given")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--explain", action="store_true")
    parser.add_argument("--no-verify", action="store_true")
    parser.add_argument("--quick", action="store_true", help="fill without a log; no check of it")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(options.url or folder / "nii.sqlite", folder / "files")
        begin = time.perf_counter()
        if options.quick:
            fill_quickly(store, options.inspections)
        else:
            fill(store, options.inspections)
        analyse(store)
        print(f"filled with {options.inspections} in {time.perf_counter() - begin:.0f} s")
        measure(store, options.repeat, explain=options.explain)
        if not (options.no_verify or options.quick):
            begin = time.perf_counter()
            check = audit.verify(store)
            took = time.perf_counter() - begin
            print(f"verify: {check.head.number} events in {took:.1f} s, faults {check.faults}")
        store.close()


def analyse(store: Store) -> None:
    """Let the engine look at how values lie, as PostgreSQL does by itself within minutes."""
    with store.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def fill(store: Store, count: int) -> None:
    """Write inspections with all that belongs to them, in bulk but chained as usual."""
    rng = np.random.default_rng(20261128)
    with store.write() as connection:
        sites = [{"code": f"S{number}", "name": f"Site {number}"} for number in range(SITES)]
        connection.execute(sa.insert(tables.sites), sites)
        scanners = [
            {"code": f"Lane {number}", "name": f"Lane {number}", "site_id": number % SITES + 1}
            for number in range(SCANNERS)
        ]
        connection.execute(sa.insert(tables.scanners), scanners)
    last = audit.head(store)
    for first in range(1, count + 1, AT_ONCE):
        rows: dict[str, list[Row]] = {}
        for number in range(first, min(first + AT_ONCE, count + 1)):
            last = one(rows, number, rng, last)
        load(store, rows)
    with store.write() as connection:
        if connection.dialect.name == "postgresql":
            for name in ("inspections", "documents", "decisions"):
                query = f"SELECT setval('{name}_id_seq', {count})"
                connection.exec_driver_sql(query)


QUICK = (
    (
        "INSERT INTO scans (sha256, files, kept_at, scanned_at, scanner_id) "
        "SELECT CAST(n AS TEXT), '[]', at, at, n % 50 + 1 FROM made"
    ),
    (
        "INSERT INTO inspections (id, scan_sha256, model_sha256, urgency, filed_at, document) "
        "SELECT n, CAST(n AS TEXT), 'a', urgency, at, '{}' FROM made"
    ),
    (
        "INSERT INTO regions (inspection_id, number, class_name, category, level, score) "
        "SELECT n, 1, CASE WHEN n % 997 < 500 THEN 'firearm' WHEN n % 997 < 900 THEN 'explosive' "
        "WHEN n % 997 < 990 THEN 'cigarettes' ELSE 'waste' END, 'c', 'look', risk "
        "FROM made WHERE urgency > 0"
    ),
    (
        "INSERT INTO documents (id, scan_sha256, kind, value, linked_at, linked_by) "
        "SELECT n, CAST(n AS TEXT), 'container', box, at, 'scan' FROM made"
    ),
    (
        "INSERT INTO queue (inspection_id, state, why, urgency, risk, waiting_since, filed_at, "
        "site_id, scanner_id, blind, sampled) "
        "SELECT n, CASE WHEN n % 4 = 1 THEN 'decided' ELSE 'open' END, 'new', urgency, risk, "
        "at, at, n % 50 % 20 + 1, n % 50 + 1, {no}, {no} FROM made"
    ),
)
"""Statements that fill the queue and what it shows; no events, so the log does not hold."""
MADE = """
WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {count}),
made AS (
  SELECT n,
         CASE WHEN n % 101 < 80 THEN 0 WHEN n % 101 < 95 THEN 1 ELSE 2 END AS urgency,
         (n * 7919 % 100003) / 100003.0 AS risk,
         '2026-' || substr(CAST(101 + n * 7 / 140000 AS TEXT), 2) || '-' ||
           substr(CAST(101 + n * 7 / 5000 % 28 AS TEXT), 2) || 'T' ||
           substr(CAST(100 + n * 7 / 208 % 24 AS TEXT), 2) || ':00:00.000000+00:00' AS at,
         substr('ABCDEFGHIJ', CAST(n % 10 + 1 AS INTEGER), 1) || 'SQU' ||
           substr(CAST(10000000 + n * 7919 % 9999991 AS TEXT), 2) AS box
  FROM series
)
"""
"""Made-up facts of each inspection, spread by multiplication; understood by both engines."""


def fill_quickly(store: Store, count: int) -> None:
    """Fill the queue within the database itself; numbers are kept below 2³¹ for PostgreSQL."""
    made = MADE.format(count=count)
    if store.engine.dialect.name == "postgresql":
        made = made.replace("SELECT 1 UNION", "SELECT 1::bigint UNION")
    no = "false" if store.engine.dialect.name == "postgresql" else "0"
    with store.write() as connection:
        for number in range(SITES):
            row = {"code": f"S{number}", "name": f"Site {number}"}
            connection.execute(sa.insert(tables.sites).values(row))
        for number in range(SCANNERS):
            lane = {"code": f"Lane {number}", "name": f"Lane {number}"}
            connection.execute(sa.insert(tables.scanners).values(lane))
        for statement in QUICK:
            head, _, body = statement.partition("SELECT ")
            filled = f"{head} {made} SELECT {body.replace('{no}', no)}"
            connection.exec_driver_sql(filled)


def load(store: Store, rows: dict[str, list[Row]]) -> None:
    """Write rows as fast as the engine takes them."""
    raw = store.engine.raw_connection()
    cursor = raw.cursor()
    on_file = store.engine.dialect.name == "sqlite"
    if on_file:
        cursor.execute("BEGIN IMMEDIATE")
    for name in ("scans", "inspections", "regions", "documents", "decisions", "queue", "events"):
        part = rows.get(name, [])
        if not part:
            continue
        columns = ", ".join(part[0])
        if on_file:
            marks = ", ".join("?" * len(part[0]))
            statement = f"INSERT INTO {name} ({columns}) VALUES ({marks})"  # noqa: S608
            cursor.executemany(statement, [tuple(row.values()) for row in part])
        else:
            lines = ("\t".join(map(copied, row.values())) for row in part)
            stream = io.BytesIO(("\n".join(lines) + "\n").encode())
            cursor.execute(f"COPY {name} ({columns}) FROM STDIN", stream=stream)
    raw.commit()
    cursor.close()
    raw.close()


def copied(value: object) -> str:
    """Return a value as COPY reads it."""
    if value is None:
        return "\\N"
    return str(value).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def one(
    rows: dict[str, list[Row]], number: int, rng: np.random.Generator, last: audit.Head
) -> audit.Head:
    """Add the rows of one inspection to the batch; return the newest event."""
    at = timestamp(START + timedelta(minutes=number))
    scan_sha256 = sha256_of_bytes(str(number).encode())
    draw = rng.random(8).tolist()
    urgency = 0 if draw[0] < CLEAR_SHARE else 1 if draw[0] < CLEAR_SHARE + LOOK_SHARE else 2
    found = [
        {
            "inspection_id": number,
            "number": place + 1,
            "class_name": CLASSES[min(int(-1.5 * log(1.0 - draw[3 + place])), len(CLASSES) - 1)],
            "category": "weapons",
            "level": ("clear", "look", "search")[urgency],
            "score": draw[6 - place],
        }
        for place in range(0 if urgency == 0 else 1 + int(3 * draw[1]))
    ]
    container = f"{'ABCDEFGHIJ'[number % 10]}SQU{int(1e7 * draw[2]):07d}"
    document = TEXT.replace("@sha@", scan_sha256).replace("@box@", container)
    files = [{"name": f"{number}.tif", "sha256": scan_sha256, "bytes": 1}]
    scanner = number * 7919 % SCANNERS + 1
    inspection = {
        "scan_sha256": scan_sha256,
        "model_sha256": "a" * 64,
        "urgency": urgency,
        "filed_at": at,
    }
    paper = {
        "id": number,
        "scan_sha256": scan_sha256,
        "kind": "container",
        "value": container,
        "check_digit_fits": False,
        "linked_at": at,
        "linked_by": "scan",
    }
    decided = draw[7] < DECIDED_SHARE
    waits = {
        "inspection_id": number,
        "state": "decided" if decided else "open",
        "why": "new",
        "urgency": urgency,
        "risk": max((region["score"] for region in found), default=draw[3]),
        "waiting_since": at,
        "filed_at": at,
        "site_id": (scanner - 1) % SITES + 1,
        "scanner_id": scanner,
        "blind": False,
        "sampled": False,
        "verdict": "release" if decided else None,
        "decided_at": at if decided else None,
    }
    scan = {"sha256": scan_sha256, "files": canonical(files), "kept_at": at}
    place = {"scanned_at": at, "scanner_id": scanner}
    add(rows, "scans", scan | place)
    add(rows, "inspections", inspection | {"id": number, "document": document})
    add(rows, "regions", *found)
    add(rows, "documents", paper)
    add(rows, "queue", waits)
    facts = {
        "files": files,
        "document_sha256": sha256_of_bytes(document.encode()),
        "regions_sha256": records.digest_of_regions(found),
    }
    last = event(rows, (audit.INSPECTED, number, inspection | facts), at, last)
    last = event(rows, (audit.LINKED, number, {"documents": [paper]}), at, last)
    if not decided:
        return last
    decision = {
        "id": number,
        "inspection_id": number,
        "verdict": "release",
        "reason": "",
        "officer": "A. Officer",
        "decided_at": at,
        "user_id": None,
        "reason_code": "",
        "why": "new",
        "seconds": 12.5,
        "blind": False,
    }
    add(rows, "decisions", decision)
    return event(rows, (audit.DECIDED, number, decision), at, last)


def add(rows: dict[str, list[Row]], name: str, *new: Row) -> None:
    """Add rows of a table to the batch."""
    rows.setdefault(name, []).extend(new)


def event(
    rows: dict[str, list[Row]], entry: tuple[str, int, Row], at: str, last: audit.Head
) -> audit.Head:
    """Chain an event to the last one."""
    kind, number, payload = entry
    row = {
        "number": last.number + 1,
        "at": at,
        "kind": kind,
        "inspection_id": number,
        "payload": canonical(payload),
        "previous_sha256": last.sha256,
    }
    digest = audit.digest_of(row)
    add(rows, "events", row | {"sha256": digest})
    return audit.Head(last.number + 1, digest)


def measure(store: Store, repeat: int, *, explain: bool) -> None:
    """Time every kind of page and print the median and the worst of each."""
    user = users.create(
        store,
        "bench",
        Profile("Bench", Role.OFFICER, sites=(3, 4)),
        Credentials(),
        Actor("bench"),
        START,
    )
    now = START + timedelta(days=400)
    plans: list[tuple[str, Any]] = []
    if explain:
        sa.event.listen(
            store.engine,
            "before_cursor_execute",
            lambda _c, _cursor, statement, values, *_rest: plans.append((statement, values)),
        )
    print(f"{'':34} {'median ms':>10} {'worst ms':>10} {'own CPU':>8} {'rows':>6}")
    for name, call in cases(store, user, now):
        times, rows = [], 0
        spent = time.process_time()
        for _ in range(repeat):
            plans.clear()
            begin = time.perf_counter()
            found = call()
            times.append((time.perf_counter() - begin) * 1e3)
            rows = len(found) if isinstance(found, tuple) else sum(found.values())
        own = (time.process_time() - spent) / repeat * 1e3
        middle = statistics.median(times)
        print(f"{name:34} {middle:10.1f} {max(times):10.1f} {own:8.1f} {rows:6d}", flush=True)
        if explain and plans:
            show_plan(store, *plans[0])


def cases(store: Store, user: users.User, now: datetime) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Name every measured call."""
    middle = START + timedelta(days=60)
    queries = {
        "first page": Query(),
        "one level": Query(level=Level.LOOK),
        "one site": Query(sites=(3,)),
        "two sites": Query(sites=(3, 4)),
        "one scanner": Query(scanner_id=7),
        "common class": Query(class_name=CLASSES[0]),
        "rare class": Query(class_name=CLASSES[-1]),
        "class that never was": Query(class_name="nothing"),
        "class at one site": Query(class_name=CLASSES[2], sites=(5,)),
        "container, whole": Query(document=a_container(store), state=None),
        "container, 6 signs": Query(document=a_container(store)[:6], state=None),
        "container, 1 sign": Query(document="A", state=None),
        "one day": Query(since=middle, until=middle + timedelta(days=1)),
        "half of the time": Query(since=middle),
        "decided": Query(state=State.DECIDED),
        "decided, newest first": Query(state=State.DECIDED, order="newest"),
        "all, newest first": Query(state=None, order="newest"),
        "mine": Query(mine=user.id),
    }
    for name, query in queries.items():
        yield name, lambda query=query: queue.page(store, query)
        yield name + ", counts", lambda query=query: queue.counts(store, query)
    deep = place_of(store, 100_000)
    yield "page after 100,000", lambda: queue.page(store, Query(after=deep))

    def claim() -> tuple[Any, ...]:
        item = claims.next_for(store, user, now)
        if item is not None:
            claims.release(store, item.inspection_id, user, now)
        return (item,)

    yield "next scan, claimed and released", claim


def place_of(store: Store, number: int) -> str:
    """Return the cursor of the row that comes after so many, or of the last one."""
    table = tables.queue.c
    order = (table.urgency.desc(), table.risk.desc(), table.waiting_since)
    query = sa.select(table.inspection_id).where(table.state == "open").order_by(*order)
    with store.read() as connection:
        found = connection.execute(query.limit(number)).scalars().all()[-1]
        return queue.items_of(connection, (found,))[found].cursor


def a_container(store: Store) -> str:
    """Return a container number that is there."""
    with store.read() as connection:
        query = sa.select(tables.documents.c.value).limit(1)
        return str(connection.execute(query).scalar_one())


def show_plan(store: Store, statement: str, values: Any) -> None:  # noqa: ANN401
    """Print how the engine answers a query."""
    word = "EXPLAIN QUERY PLAN" if store.engine.dialect.name == "sqlite" else "EXPLAIN ANALYZE"
    with store.engine.connect() as connection:
        for row in connection.exec_driver_sql(f"{word} {statement}", values):
            print("      ", row[-1])


if __name__ == "__main__":
    main()
