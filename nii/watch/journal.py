"""The journal: what was done with each scan, so that each is inspected once, across any end.

One SQLite file with a write-ahead log, held by one process at a time. An inspection and its picture
enter in one transaction, together with the list of places that they still have to reach; so there
is no moment at which a scan was inspected and the journal does not know, and none at which a half
result could leave. A failed write closes the file and the next one opens it again, so that a full
disk or a folder that comes back needs no restart.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nii.errors import ConfigError, NiiError
from nii.exchange.inbox import Sighting

FILE = "journal.sqlite"
_WAIT_S = 5.0
"""Time that another process gets to end: a service that is restarted overlaps with the old one."""
_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS scans (
    identity TEXT PRIMARY KEY,           -- nii.provenance.sha256_of_sources
    state TEXT NOT NULL,                 -- begun, inspected, refused
    attempts INTEGER NOT NULL,           -- how often it was begun without coming to an end
    paths TEXT NOT NULL,                 -- JSON: where its files lay
    at TEXT NOT NULL                     -- time of the last change, ISO 8601
);
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY,
    size INTEGER NOT NULL,
    changed_ns INTEGER NOT NULL,
    member TEXT NOT NULL,                -- nii.watch.lane.Member.group
    identity TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS parcels (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    identity TEXT NOT NULL UNIQUE,
    document TEXT NOT NULL,              -- the inspection, JSON
    picture BLOB NOT NULL                -- the overlay, PNG
);
CREATE TABLE IF NOT EXISTS waiting (
    sink TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (sink, number)
);
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the journal holds about one scan."""

    state: str
    attempts: int
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Parcel:
    """The results of one scan on their way.

    Attributes:
        number: counts inspections from 1.
        identity: SHA-256 of the scan.
        document: the inspection as JSON.
        picture: the overlay as PNG.
        paths: where the files of the scan lay.
    """

    number: int
    identity: str
    document: str
    picture: bytes
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """Files that were dealt with as they are now, and the group each belongs to."""

    files: tuple[Sighting, ...]
    group: str


class Journal:
    """Hold one journal; its methods may be called from any thread.

    A method that raises OSError changed nothing.
    """

    def __init__(self, folder: Path) -> None:
        """Open or make the journal of a folder.

        Raises:
            ConfigError: another process holds it.
            NiiError: it is damaged, or of another version.
            OSError: the folder cannot be written to.
        """
        self.path = folder / FILE
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        with self._transaction():
            pass

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def entry(self, identity: str) -> Entry | None:
        """Return what is known of a scan, or None."""
        query = "SELECT state, attempts, paths FROM scans WHERE identity = ?"
        with self._transaction() as connection:
            row = connection.execute(query, (identity,)).fetchone()
        return None if row is None else Entry(row[0], row[1], _paths(row[2]))

    def begin(self, identity: str, paths: Sequence[Path], at: str) -> int:
        """Note that a scan is taken up; return how often it was, without coming to an end."""
        row = (identity, "begun", 1, json.dumps([str(path) for path in paths]), at)
        query = (
            "INSERT INTO scans VALUES (?, ?, ?, ?, ?) ON CONFLICT (identity) DO UPDATE SET"
            " attempts = attempts + 1, paths = excluded.paths, at = excluded.at"
            " WHERE state = 'begun' RETURNING attempts"
        )
        with self._transaction() as connection:
            return int(connection.execute(query, row).fetchone()[0])

    def release(self, identity: str) -> None:
        """Note that a scan was put back for a reason that is not its own."""
        query = "UPDATE scans SET attempts = max(attempts - 1, 0)"
        query += " WHERE identity = ? AND state = 'begun'"
        with self._transaction() as connection:
            connection.execute(query, (identity,))

    def inspected(
        self, parcel: Parcel, settled: Settled, sinks: Sequence[str], at: str
    ) -> int | None:
        """Note the inspection of a scan and where it has to go; return its number.

        A scan that has an inspection keeps the first: then None is returned and nothing is changed.
        """
        with self._transaction() as connection:
            query = "UPDATE scans SET state = 'inspected', attempts = 0, at = ?"
            query += " WHERE identity = ? AND state = 'begun'"
            if connection.execute(query, (at, parcel.identity)).rowcount != 1:
                return None
            query = "INSERT INTO parcels (identity, document, picture) VALUES (?, ?, ?)"
            row = (parcel.identity, parcel.document, parcel.picture)
            number = connection.execute(query, row).lastrowid
            rows = [(sink, number) for sink in sinks]
            connection.executemany("INSERT INTO waiting VALUES (?, ?)", rows)
            _settle(connection, settled, parcel.identity)
        return number

    def refused(self, identity: str, settled: Settled, at: str) -> None:
        """Note that a scan lies in the quarantine."""
        query = "UPDATE scans SET state = 'refused', at = ? WHERE identity = ?"
        with self._transaction() as connection:
            connection.execute(query, (at, identity))
            _settle(connection, settled, identity)

    def settle(self, identity: str, settled: Settled) -> None:
        """Note that these files hold a scan that was dealt with."""
        with self._transaction() as connection:
            _settle(connection, settled, identity)

    def waiting(self, sink: str) -> tuple[int, ...]:
        """Return the numbers of the results that have not reached a place yet, oldest first."""
        query = "SELECT number FROM waiting WHERE sink = ? ORDER BY number"
        with self._transaction() as connection:
            return tuple(row[0] for row in connection.execute(query, (sink,)))

    def on_the_way(self, sink: str) -> frozenset[str]:
        """Return the identities of the scans whose results have not reached a place yet."""
        query = (
            "SELECT parcels.identity FROM waiting JOIN parcels"
            " ON parcels.number = waiting.number WHERE sink = ?"
        )
        with self._transaction() as connection:
            return frozenset(row[0] for row in connection.execute(query, (sink,)))

    def parcel(self, number: int) -> Parcel:
        """Return results that wait."""
        query = (
            "SELECT number, parcels.identity, document, picture, paths FROM parcels"
            " JOIN scans ON scans.identity = parcels.identity WHERE number = ?"
        )
        with self._transaction() as connection:
            row = connection.execute(query, (number,)).fetchone()
        return Parcel(row[0], row[1], row[2], row[3], _paths(row[4]))

    def delivered(self, number: int, sink: str) -> None:
        """Note that results reached a place; those that reached every place are let go."""
        with self._transaction() as connection:
            query = "DELETE FROM waiting WHERE sink = ? AND number = ?"
            connection.execute(query, (sink, number))
            query = "DELETE FROM parcels WHERE number = ? AND number NOT IN"
            query += " (SELECT number FROM waiting)"
            connection.execute(query, (number,))

    def settled(self) -> Iterator[tuple[Sighting, str]]:
        """Return every file that was dealt with, and its group."""
        query = "SELECT path, size, changed_ns, member FROM files"
        with self._transaction() as connection:
            rows = connection.execute(query).fetchall()
        for path, size, changed_ns, group in rows:
            yield Sighting(Path(os.fsdecode(path)), size, changed_ns), group

    def suspects(self) -> frozenset[Path]:
        """Return the files that were in hand when the process ended unasked."""
        query = "SELECT paths FROM scans WHERE state = 'begun' AND attempts > 0"
        with self._transaction() as connection:
            rows = connection.execute(query).fetchall()
        return frozenset(path for (text,) in rows for path in _paths(text))

    def counts(self) -> dict[str, int]:
        """Return how many scans are in each state, and how many results wait for each sink."""
        with self._transaction() as connection:
            states = connection.execute("SELECT state, count(*) FROM scans GROUP BY state")
            found = {str(state): int(count) for state, count in states}
            sinks = connection.execute("SELECT sink, count(*) FROM waiting GROUP BY sink")
            return found | {f"waiting {sink}": int(count) for sink, count in sinks}

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """Give a transaction that takes effect whole and for good, or not at all."""
        with self._lock:
            try:
                connection = self._connection or self._open()
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except sqlite3.OperationalError as error:
                self._drop()
                if "locked" in str(error):
                    raise _held(self.path) from error
                msg = f"{self.path}: {error}"
                raise OSError(msg) from error
            except sqlite3.DatabaseError as error:
                self._drop()
                raise _damaged(self.path, str(error)) from error
            except BaseException:
                self._drop()
                raise

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            self.path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        try:
            # Held until the process ends, also by kill -9: no second watch, and no shared memory.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            self._check_version(version)
            connection.executescript(f"{_SCHEMA} PRAGMA user_version = {_VERSION};")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _check_version(self, version: int) -> None:
        if version not in (0, _VERSION):
            raise _damaged(self.path, f"version {version}")

    def _drop(self) -> None:
        """Close the file without a word; closing takes back what is not committed."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _settle(connection: sqlite3.Connection, settled: Settled, identity: str) -> None:
    rows = [
        (os.fsencode(one.path), one.size, one.changed_ns, settled.group, identity)
        for one in settled.files
    ]
    connection.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?)", rows)


def _paths(text: str) -> tuple[Path, ...]:
    return tuple(Path(name) for name in json.loads(text))


def _held(path: Path) -> ConfigError:
    return ConfigError(
        path,
        found="a journal that another process holds",
        expected="one watch for each state folder",
        remedy="End the other nii watch, or name another --state.",
    )


def _damaged(path: Path, found: str) -> NiiError:
    return NiiError(
        path,
        found=f"a journal that cannot be used ({found})",
        expected=f"a journal of version {_VERSION}",
        remedy="Move it away: results that were written are recognised by content, none doubles.",
    )
