"""Open the database, bring its schema up to date, and hand out transactions."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util import CommandError

from nii.errors import ConfigError, MissingExtraError, NiiError

DATABASE_FILE = "nii.sqlite"
FILES_FOLDER = "files"
_BUSY_SECONDS = 30.0
"""How long a SQLite transaction waits for another one: assumption, far above any write here."""
_WRITES = "nii_writes"
"""Mark on a connection whose transaction writes."""
_DRIVER = "postgresql+pg8000"
"""The driver of PostgreSQL: under the BSD licence, and nothing to compile."""
_SHUT_DOWN = "57P0"
"""SQLSTATE of a server that stops, crashes or is not ready yet (PostgreSQL, appendix A)."""
_KEY = 0x6E6969
"""PostgreSQL advisory lock that every writer takes: the letters n, i, i. SQLite locks by itself."""


@dataclass(frozen=True, slots=True)
class Store:
    """Hold an open database and the folder of original files; close it after use.

    Attributes:
        engine: the database.
        files: folder of the original files, by content.
    """

    engine: sa.Engine
    files: Path
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Give the only writing transaction; it takes effect whole, or not at all on an error."""
        # Writers of this process wait here, in order and without a connection: where fifty waited
        # inside SQLite, some starved and readers found no connection left.
        with self._turn, self.engine.connect() as connection:
            connection.execution_options(**{_WRITES: True})
            with connection.begin():
                _lock(connection)
                yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Give a reading transaction, which sees one state of the database."""
        with self.engine.connect() as connection:
            if connection.dialect.name == "postgresql":
                connection.execution_options(isolation_level="REPEATABLE READ")
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_store(url_or_path: str | Path, files: Path) -> Store:
    """Open a store, make it if it is new, and bring its schema up to date.

    Args:
        url_or_path: path of a SQLite file, or an SQLAlchemy URL such as
            ``postgresql+pg8000://user@host/nii``; plain ``postgresql://`` means the same.
        files: folder of the original files.

    Raises:
        ConfigError: the URL is none, or names a database that is not supported.
        NiiError: the database was made by a newer version.
    """
    url = _url(url_or_path)
    files.mkdir(parents=True, exist_ok=True)
    engine = _sqlite(url) if url.get_backend_name() == "sqlite" else _postgresql(url)
    store = Store(engine, files)
    try:
        _migrate(store)
    except BaseException:
        store.close()
        raise
    return store


def open_folder(folder: Path, database_url: str | None = None) -> Store:
    """Open the store whose files lie in `folder`; its database too, unless a URL names another."""
    database = folder / DATABASE_FILE if database_url is None else database_url
    return open_store(database, folder / FILES_FOLDER)


def timestamp(at: datetime) -> str:
    """Return a time as the database holds it: ISO 8601 in UTC with microseconds.

    Raises:
        ValueError: the time has no zone.
    """
    if at.tzinfo is None:
        msg = "a time without zone cannot be stored"
        raise ValueError(msg)
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str | None) -> datetime | None:
    """Return the time that :func:`timestamp` wrote; None stays None."""
    return None if text is None else datetime.fromisoformat(text)


def migration_config(connection: sa.Connection) -> Config:
    """Return Alembic's settings for the migrations of this package on an open connection."""
    config = Config()
    config.set_main_option("script_location", str(package_files("nii.store") / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _url(url_or_path: str | Path) -> sa.URL:
    if isinstance(url_or_path, Path) or "://" not in url_or_path:
        path = Path(url_or_path).absolute()
        path.parent.mkdir(parents=True, exist_ok=True)
        return sa.URL.create("sqlite", database=str(path))
    try:
        url = sa.make_url(url_or_path)
        backend = url.get_backend_name()
    except sa.exc.ArgumentError as error:
        raise ConfigError(
            "database_url", found=str(error), expected="a URL", remedy="Mend the URL."
        ) from error
    if url.drivername == "postgresql":
        url = url.set(drivername=_DRIVER)
    in_memory = backend == "sqlite" and url.database in (None, "", ":memory:")
    if url.drivername not in ("sqlite", "sqlite+pysqlite", _DRIVER) or in_memory:
        raise ConfigError(
            url.render_as_string(hide_password=True),
            found=f"a database of kind {url.drivername}" + (" in memory" if in_memory else ""),
            expected="a SQLite file, or PostgreSQL through pg8000",
            remedy="Give a path, or a URL such as postgresql+pg8000://user@host/nii.",
        )
    return url


def _sqlite(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS})

    @sa.event.listens_for(engine, "connect")
    def prepare(raw: Any, _record: Any) -> None:  # noqa: ANN401
        raw.isolation_level = None  # this module says BEGIN itself
        cursor = raw.cursor()
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A writer locks at once: two that read first would both fail to become writers.
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql(url: sa.URL) -> sa.Engine:
    try:
        engine = sa.create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True)
    except ModuleNotFoundError as error:
        raise MissingExtraError.of("postgresql", "a store in PostgreSQL") from error

    @sa.event.listens_for(engine, "handle_error")
    def hear_farewell(context: sa.engine.ExceptionContext) -> None:
        # A server that is stopped says so on connections that wait: those are gone, no more.
        said = context.original_exception.args[:1]
        if said and isinstance(said[0], dict) and str(said[0].get("C")).startswith(_SHUT_DOWN):
            context.is_disconnect = True

    return engine


def _migrate(store: Store) -> None:
    """Bring the schema up to date; a new step in SQLite makes tables anew, with foreign keys off.

    They cannot be switched within a transaction, so they are before it and again after it, and
    what they would have refused is looked for at the end.
    """
    with store.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        on_file = connection.dialect.name == "sqlite"
        if on_file and raw is not None:
            raw.cursor().execute("PRAGMA foreign_keys=OFF")
        connection.execution_options(**{_WRITES: True})
        try:
            with connection.begin():
                _lock(connection)
                _upgrade(connection)
                if on_file:
                    _check_references(connection)
        finally:
            if on_file and raw is not None:
                raw.cursor().execute("PRAGMA foreign_keys=ON")


def _lock(connection: sa.Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(:key)"), {"key": _KEY})


def _upgrade(connection: sa.Connection) -> None:
    try:
        command.upgrade(migration_config(connection), "head")
    except CommandError as error:
        raise NiiError(
            connection.engine.url.render_as_string(hide_password=True),
            found=f"a schema this version does not know ({error})",
            expected="a database made by this or an older version of nii",
            remedy="Use the version of nii that wrote it, or a newer one.",
        ) from error


def _check_references(connection: sa.Connection) -> None:
    dangling = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if dangling:
        raise NiiError(
            connection.engine.url.render_as_string(hide_password=True),
            found=f"{len(dangling)} rows that point to nothing, the first in {dangling[0][0]}",
            expected="a database whose rows belong together",
            remedy="Restore it from a backup; nothing was changed.",
        )
