"""What the store survives: writers killed, a full disk, a server that restarts, hostile texts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from nii.store import audit, decisions, documents, marks, outcomes, queue, tables
from nii.store.audit import Actor
from nii.store.database import Store, open_store
from nii.store.decisions import Opinion, Verdict
from nii.store.documents import Kind, Paper
from nii.store.inspections import Filed
from nii.store.marks import Mark, Sign
from nii.store.outcomes import Outcome
from nii.store.queue import Query, State

NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
EXAMPLE = Path(__file__).with_name("inspection.json")
WRITER = """
import json, resource, signal, sys, tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from nii.inspection import Inspection
from nii.store import decisions, inspections, marks, scans
from nii.store.audit import Actor
from nii.store.database import open_store
from nii.store.decisions import Opinion, Verdict
from nii.store.marks import Mark, Sign
place, files, name, example, limit = sys.argv[1:]
store = open_store(place, Path(files))
whole = Inspection.from_json(json.loads(Path(example).read_text("utf-8")))
path = Path(tempfile.mkdtemp()) / "truck.tif"
if int(limit):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
for number in range(100_000):
    path.write_text(f"{name} {number}")
    kept = scans.keep(store, [path])
    inspection = replace(whole, scan=replace(whole.scan, sha256=kept.sha256))
    now = datetime.now(UTC)
    filed = inspections.add(store, kept, inspection, now)
    marks.add(store, filed.id, Mark(Sign.CONFIRMED, 1), Actor(name), now)
    decision = decisions.add(store, filed.id, Opinion(Verdict.INSPECT, name), now)
    print(decision.id, flush=True)
"""
"""Files, marks and decides as fast as it can; prints each decision once it is kept."""


def _start(store: Store, name: str, limit: int = 0) -> subprocess.Popen[str]:
    place = store.engine.url.render_as_string(hide_password=False)
    arguments = [place, str(store.files), name, str(EXAMPLE), str(limit)]
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", WRITER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _whole(store: Store, told: list[int]) -> None:
    """Check that what was told is there, that nothing is there in half, and that the log holds."""
    check = audit.verify(store)
    assert check.intact, check.faults
    with store.read() as connection:
        kept = set(connection.execute(sa.select(tables.decisions.c.id)).scalars())
        queued = connection.execute(
            sa.select(tables.queue.c.inspection_id, tables.queue.c.state)
        ).all()
        filed = set(connection.execute(sa.select(tables.inspections.c.id)).scalars())
        about = connection.execute(sa.select(tables.decisions.c.inspection_id)).scalars()
        decided = set(about)
    assert kept >= set(told)
    assert {row.inspection_id for row in queued} == filed
    for row in queued:
        assert (row.state == State.DECIDED) == (row.inspection_id in decided)


@pytest.mark.slow
def test_writers_killed_at_any_moment(store: Store, rng: np.random.Generator) -> None:
    """After kill -9 of two writers at once, again and again, all that was told is kept, whole."""
    told: list[int] = []
    for turn in range(2):
        writers = [_start(store, f"writer {turn} {each}") for each in "ab"]
        for writer in writers:
            assert writer.stdout is not None
            for _ in range(int(rng.integers(1, 6))):
                line = writer.stdout.readline()
                assert line, writer.stderr and writer.stderr.read()
                told.append(int(line))
        time.sleep(float(rng.uniform(0.0, 0.05)))
        for writer in writers:
            writer.kill()
        for writer in writers:
            rest, _ = writer.communicate()
            lines = rest.splitlines(keepends=True)
            told += [int(line) for line in lines if line.endswith("\n")]
        _whole(store, told)
    assert len(told) == len(set(told)) >= 4


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs RLIMIT_FSIZE")
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """When no file may grow any more, the writer ends with an error, and all before it is kept."""
    store = open_store(tmp_path / "nii.sqlite", tmp_path / "files")
    writer = _start(store, "writer", 600_000)
    out, err = writer.communicate(timeout=300)
    assert writer.returncode == 1
    assert "full" in err or "disk I/O error" in err or "File too large" in err
    told = [int(line) for line in out.splitlines()]
    assert told
    _whole(store, told)
    filed = queue.page(store, Query(state=None))[0].inspection_id
    decisions.add(store, filed, Opinion(Verdict.RESCAN, "A. Officer"), NOON)
    _whole(store, told)
    store.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_server_that_restarts(
    request: pytest.FixtureRequest, tmp_path: Path, how: signal.Signals
) -> None:
    """While PostgreSQL is away there is an error; when it is back, the open store goes on."""
    server = request.getfixturevalue("postgres")
    store = open_store(server.fresh(), tmp_path / "files")
    entry = audit.Entry(audit.VIEWED, None, {})
    for _ in range(2):
        audit.log(store, entry, NOON)
        server.stop(how)
        with pytest.raises(sa.exc.DBAPIError):
            audit.log(store, entry, NOON)
        server.start()
        assert audit.head(store).number == audit.log(store, entry, NOON).number - 1
    with pytest.raises(sa.exc.DBAPIError), store.write() as connection:  # noqa: PT012
        audit.append(connection, entry, NOON)
        server.stop(how)
        server.start()
        connection.execute(sa.text("SELECT 1"))
    assert audit.log(store, entry, NOON).number == 5
    assert audit.verify(store).intact
    store.close()


HOSTILE = (
    "'; DROP TABLE decisions; --",
    '" OR ""="',
    "<script>alert(document.cookie)</script>",
    "{{ 7 * 7 }} {% include '/etc/passwd' %}",
    "../../../../etc/passwd",
    "%s %(x)s :name $1 ?",
    "\\u0000 \\x00 \\' \\",
    "досмотр 查验 gnp.exe 🚛",
)


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_texts_are_only_texts(
    store: Store, file_scan: Callable[..., Filed], text: str
) -> None:
    """SQL, HTML, templates, paths and odd signs come back from every field as they went in."""
    filed = file_scan("one")
    by = Actor(text)
    decisions.add(store, filed.id, Opinion(Verdict.REFER, text, text, group=text), NOON)
    mark = marks.add(store, filed.id, Mark(Sign.CONFIRMED, 1, text, remark=text), by, NOON)
    outcome = Outcome(True, NOON, text, text, text)  # noqa: FBT003
    kept = outcomes.add(store, filed.id, outcome, by, NOON)
    paper = documents.link(store, filed.scan_sha256, Paper(Kind.MANIFEST, text), by, NOON)
    audit.log(store, audit.Entry(text[:32], filed.id, {text: text}), NOON)
    (decision,) = decisions.of_inspection(store, filed.id)
    assert (decision.officer, decision.reason) == (text, text)
    assert (mark.mark.class_name, mark.mark.remark, mark.officer) == (text, text, text)
    assert kept.outcome == outcome
    assert queue.page(store, Query(group=text))[0].group == text
    assert [item.inspection_id for item in queue.page(store, Query(document=text))] == [filed.id]
    assert paper.linked_by == text
    assert audit.of_inspection(store, filed.id)[-1].payload == {text: text}
    assert audit.verify(store).intact
