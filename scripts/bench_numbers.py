"""Time the numbers page: 200,000 inspections of a year, asked for whole, by month, and after news.

    python scripts/bench_numbers.py [--inspections 200000] [--url postgresql+pg8000://…]

Fills a store in bulk with made-up records (no scans, no log but one event for each inspection) and
prints how long columns, counts and, with the extra [review], the whole page take.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, date, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from nii import taxonomy
from nii.store import tables, tally
from nii.store.database import Store, open_folder, timestamp
from nii.store.statistics import Columns

START = datetime(2026, 1, 1, tzinfo=UTC)
DOCUMENT = json.dumps({"text": "x" * 2000})
_BATCH = 5000
_SECOND_MODEL = 120_000
"""Inspections from this one on are by another model."""
_FOUND = 0.3


def fill(store: Store, count: int, days: int) -> None:
    """Write inspections spread over some days and three sites, decided and examined as in life."""
    rng = np.random.default_rng(1)
    classes = [row.name for row in taxonomy.in_group("threat")]
    with store.write() as connection:
        for code in ("north", "south", "west"):
            connection.execute(sa.insert(tables.sites).values(code=code, name=code.title()))
    for first in range(0, count, _BATCH):
        ids = range(first + 1, min(first + _BATCH, count) + 1)
        at = [timestamp(START + timedelta(days=days * (k - 1) / count)) for k in ids]
        urgency = rng.choice([0, 1, 2], len(ids), p=[0.85, 0.1, 0.05]).tolist()
        rows = _rows(list(ids), at, urgency, rng, classes)
        with store.write() as connection:
            for table, values in rows.items():
                if values:
                    connection.execute(sa.insert(table), values)


def _rows(
    ids: list[int], at: list[str], urgency: list[int], rng: np.random.Generator, classes: list[str]
) -> dict[sa.Table, list[dict[str, object]]]:
    """Return rows of all tables for a batch of inspections."""
    digests = [f"{k:064x}" for k in ids]
    risk = [float(rng.beta(2, 5)) if level else 0.0 for level in urgency]
    decided = [(k, t, level) for k, t, level in zip(ids, at, urgency, strict=True) if level]
    models = ["a" * 64, "b" * 64]
    return {
        tables.scans: [
            {"sha256": d, "files": "[]", "kept_at": t} for d, t in zip(digests, at, strict=True)
        ],
        tables.inspections: [
            {"id": k, "scan_sha256": d, "model_sha256": models[k > _SECOND_MODEL], "urgency": level}
            | {"filed_at": t, "document": DOCUMENT}
            for k, d, t, level in zip(ids, digests, at, urgency, strict=True)
        ],
        tables.regions: [
            {"inspection_id": k, "number": 1, "class_name": str(rng.choice(classes))}
            | {"category": "x", "level": "look", "score": 0.5}
            for k, _, _ in decided
        ],
        tables.queue: [
            {"inspection_id": k, "state": "decided" if level else "open", "why": "new"}
            | {"urgency": level, "risk": r, "waiting_since": t, "filed_at": t}
            | {"site_id": k % 3 + 1, "blind": False, "sampled": False}
            for k, t, level, r in zip(ids, at, urgency, risk, strict=True)
        ],
        tables.decisions: [
            {"inspection_id": k, "verdict": str(rng.choice(["inspect", "release"])), "reason": "x"}
            | {"officer": f"officer {k % 40}", "decided_at": t, "seconds": float(rng.gamma(2, 20))}
            for k, t, _ in decided
        ],
        tables.outcomes: [
            {"inspection_id": k, "found": bool(rng.random() < _FOUND), "officer": "x"}
            | {"examined_at": t}
            for k, t, level in decided
            if level > 1
        ],
        tables.events: [
            {"number": k, "at": t, "kind": "inspected", "inspection_id": k, "payload": "{}"}
            | {"previous_sha256": f"{k - 1:064x}", "sha256": f"{k:064x}"}
            for k, t in zip(ids, at, strict=True)
        ],
    }


def timed(what: str, repeats: int, task: object) -> None:
    """Print the shortest time of some repeats: on the clock, and of the processor alone."""
    times = []
    for _ in range(repeats):
        begin, work = time.perf_counter(), time.process_time()
        task()  # type: ignore[operator]
        times.append((time.perf_counter() - begin, time.process_time() - work))
    clock, work = (1000 * min(column) for column in zip(*times, strict=True))
    print(f"{what:32} {clock:8.1f} ms, processor {work:8.1f} ms")


def main() -> None:
    """Fill a store and time it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inspections", type=int, default=200_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = open_folder(Path(folder), options.url)
        begin = time.perf_counter()
        fill(store, options.inspections, options.days)
        seconds = time.perf_counter() - begin
        print(f"filled with {options.inspections} inspections in {seconds:.0f} s")
        measure(store, options.days)
        store.close()


def measure(store: Store, days: int) -> None:
    """Time cold and warm answers, and one after a new event."""
    first, last = START.date(), START.date() + timedelta(days=days)
    columns = Columns(store)

    def news() -> None:
        with store.write() as connection:
            newest = connection.execute(sa.select(sa.func.max(tables.events.c.number))).scalar_one()
            row = {"number": newest + 1, "at": timestamp(START), "kind": "decided", "payload": "{}"}
            row |= {
                "inspection_id": 17,
                "previous_sha256": "0" * 64,
                "sha256": f"{newest + 1:064x}",
            }
            connection.execute(sa.insert(tables.events).values(row))
        columns.between(first, last)

    timed("year, first time", 1, lambda: columns.between(first, last))
    timed("year, again", 5, lambda: columns.between(first, last))
    timed("year, after a new event", 3, news)
    timed("last month, first time", 1, lambda: Columns(store).between(last - timedelta(30), last))
    facts, names = columns.between(first, last)
    timed("tally of all", 5, lambda: tally.tally(facts))
    timed("tally by day", 5, lambda: tally.by_day(facts))
    timed("tally by officer", 5, lambda: tally.by_officer(facts))
    timed("tally by class", 5, lambda: tally.by_class(facts))
    timed("tally by model", 5, lambda: tally.by_model(facts, names))
    if find_spec("babel"):
        _measure_numbers(columns, first, last)


def _measure_numbers(columns: Columns, first: date, last: date) -> None:
    """Time everything that the page of numbers computes, without writing the page."""
    from nii.review import numbers  # noqa: PLC0415 - needs the extra [review]

    viewer = numbers.Viewer(1, None, all_officers=True)
    year = numbers.Wanted(first, last)
    month = numbers.Wanted(last - timedelta(days=29), last)
    timed("page, year, first time", 1, lambda: numbers.measure(columns, viewer, year))
    timed("page, year", 5, lambda: numbers.measure(columns, viewer, year))
    timed("page, month", 5, lambda: numbers.measure(columns, viewer, month))


if __name__ == "__main__":
    main()
