"""Fixtures that every test may ask for."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings

from nii.bundle import Bundle, Card, DecodeSpec, Thresholds, write_bundle
from nii.preprocess import PreprocessSpec
from nii.provenance import Provenance

ROOT = Path(__file__).resolve().parents[1]

# albumentations asks the network for a newer version when it is imported, unless told not to.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
# ONNX Runtime reports to its makers from its import on; nii switches that off, tests do it first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# The first example pays for imports and type checks, so a deadline would fail at random; the same
# examples come every time, so that a failure on one machine is a failure on all.
settings.register_profile(
    "nii",
    deadline=None,
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("nii")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what draws in a browser on one worker; that and what needs a training is slow."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "browser" in fixtures or item.path.name == "test_browser.py":
            item.add_marker(pytest.mark.xdist_group("browser"))
            item.add_marker(pytest.mark.slow)
        if "finished_run" in fixtures:  # trains a network first
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def rng() -> np.random.Generator:
    """Return a generator of random numbers that starts the same in every test."""
    return np.random.default_rng(20261122)


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep every test away from the keys and caches of the user."""
    for variable, name in (("NII_TRUST", "trust"), ("NII_CACHE", "cache")):
        monkeypatch.setenv(variable, str(tmp_path_factory.getbasetemp() / name))


@pytest.fixture(scope="session")
def make_bundle() -> Callable[..., Bundle]:
    """Return how a bundle is written whose model is no network: nobody runs it."""
    threats = ("firearm",)
    card = Card(
        name="plain",
        version="1.0",
        threats=threats,
        structures=("vehicle", "container"),
        preprocess=PreprocessSpec(),
        decode=DecodeSpec(),
        thresholds=Thresholds(dict.fromkeys(threats, 0.3), dict.fromkeys(threats, 0.7)),
        provenance=Provenance().to_json(),
    )

    def make(folder: Path, version: str = "1.0") -> Bundle:
        fresh = replace(card, version=version)
        return write_bundle(folder, fresh, b"no network", {"passed": True}, b"no self-test")

    return make


@pytest.fixture(scope="session")
def is_alive() -> Callable[[int], bool]:
    """Return how to tell whether a process runs; one that ended, still unwaited, does not."""

    def tell(number: int) -> bool:
        try:
            return Path(f"/proc/{number}/stat").read_text("utf-8").split(") ")[1][0] != "Z"
        except (FileNotFoundError, ProcessLookupError):
            return False

    return tell


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder with real scans, or skip where there is none."""
    folder = Path(os.environ.get("NII_REAL_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not folder.is_dir():
        pytest.skip("real data not found, skipped")
    return folder


@pytest.fixture
def cuda() -> str:
    """Return the name of the torch device for GPU tests, or skip with the reason."""
    torch = pytest.importorskip("torch", reason="the extra [train] is not installed")
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device")
    return "cuda"


_SHAPE = """
SELECT (SELECT version_num FROM alembic_version),
       (SELECT count(*) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
         WHERE relnamespace = current_schema()::regnamespace),
       (SELECT string_agg(tgenabled::text, '' ORDER BY tgenabled)
          FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
         WHERE relnamespace = current_schema()::regnamespace)
"""
"""What tells whether a test has changed tables or triggers."""
_EMPTY = """
SET LOCAL lock_timeout = '2s';
SET LOCAL session_replication_role = replica;
DO $$ DECLARE item record; BEGIN
  FOR item IN SELECT relname, relkind FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relname <> 'alembic_version'
  LOOP
    IF item.relkind = 'r' THEN EXECUTE format('DELETE FROM %I', item.relname); END IF;
    IF item.relkind = 'S' THEN EXECUTE format('ALTER SEQUENCE %I RESTART', item.relname); END IF;
  END LOOP;
END $$;
"""
"""Empties all tables past their triggers, and counts from 1 again."""


class PostgresServer:
    """A PostgreSQL of the tests' own: in a temporary folder, reached by a socket in it.

    It never flushes to the disk, for nobody pulls the plug on a test; all else is as usual.
    """

    def __init__(self, programs: Path) -> None:
        """Make a new cluster and start the server."""
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="nii-postgres-"))
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        self.process: subprocess.Popen[bytes] | None = None
        self.spare: list[str] = []
        self.shape = ""
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, self.user, self.user)
        self.folder.chmod(0o755)
        place = f"--pgdata={self.folder / 'data'}"
        self._call("initdb", place, "--auth=trust", "--username=owner", "--encoding=UTF8", "-N")
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "timezone": "UTC",
        }
        settings = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        # The server does not outlive tests that are killed.
        last = ["setpriv", "--pdeathsig", "INT"] if shutil.which("setpriv") else []
        command = [
            *self._as_user(),
            *last,
            str(self.programs / "postgres"),
            "-D",
            str(self.folder / "data"),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                [*command, *settings], stdout=log, stderr=log, cwd=self.folder
            )
        engine = sa.create_engine(self.url())
        for _ in range(600):
            try:
                engine.connect().close()
            except sa.exc.DBAPIError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                time.sleep(0.05)
            else:
                break
        engine.dispose()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT lets it tidy up, after SIGQUIT it is as after a crash."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait()

    def close(self) -> None:
        """Stop the server and remove what it wrote."""
        try:
            self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, role: str = "owner") -> str:
        """Return the address of the database for a role."""
        socket = self.folder / ".s.PGSQL.5432"
        return f"postgresql+pg8000://{role}@/postgres?unix_sock={socket}"

    def fresh(self) -> str:
        """Return the address of an empty schema: that of a new role of the same name."""
        name = f"nii_{uuid.uuid4().hex}"
        engine = sa.create_engine(self.url())
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE ROLE {name} SUPERUSER LOGIN")
            connection.exec_driver_sql(f"CREATE SCHEMA {name} AUTHORIZATION {name}")
        engine.dispose()
        return self.url(name)

    def desk(self) -> str:
        """Return the address of a schema with the newest tables, all of them empty."""
        from nii.store.database import open_store

        if self.spare:
            return self.spare.pop()
        url = self.fresh()
        open_store(url, self.folder).close()
        self.shape = self.shape or self._shape_of(url)
        return url

    def give_back(self, url: str) -> None:
        """Empty a schema and keep it for another test, unless a test has changed its tables."""
        engine = sa.create_engine(url)
        try:
            if self._shape_of(url) == self.shape:
                with engine.begin() as connection:
                    connection.exec_driver_sql(_EMPTY)
                self.spare.append(url)
        except sa.exc.DBAPIError as error:
            assert "lock timeout" in str(error), error  # noqa: PT017 - a test has left a lock
        finally:
            engine.dispose()

    def _shape_of(self, url: str) -> str:
        engine = sa.create_engine(url)
        with engine.connect() as connection:
            shape = str(connection.exec_driver_sql(_SHAPE).one())
        engine.dispose()
        return shape

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["setpriv", f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups"]

    def _call(self, program: str, *arguments: str) -> None:
        command = [*self._as_user(), str(self.programs / program), *arguments]
        result = subprocess.run(  # noqa: S603
            command, capture_output=True, check=False, cwd=self.folder
        )
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Start a PostgreSQL for this worker's tests, or skip where none is installed."""
    places = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which("initdb")
    places += [Path(found).resolve().parent] if found else []
    programs = next((place for place in places if (place / "initdb").exists()), None)
    if programs is None:
        pytest.skip("no PostgreSQL is installed: neither in /usr/lib/postgresql nor on the PATH")
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        pytest.skip("PostgreSQL refuses to run as root, and setpriv is not installed")
    pytest.importorskip("pg8000", reason="the extra [postgresql] is not installed")
    server = PostgresServer(programs)
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str | Path:
    """Give the place of an empty database: a SQLite file, or a fresh schema in PostgreSQL."""
    if request.param == "sqlite":
        return tmp_path / "nii.sqlite"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.fresh()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with the newest tables, all of them empty."""
    from nii.store.database import open_store

    folder = tmp_path_factory.mktemp("migrated")
    open_store(folder / "nii.sqlite", folder / "files").close()
    return folder / "nii.sqlite"


@pytest.fixture(params=["sqlite", "postgresql"])
def desk_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | Path]:
    """Give the place of a database with the newest tables, all empty, in either engine."""
    if request.param == "sqlite":
        source: Path = request.getfixturevalue("migrated_file")
        yield shutil.copy(source, tmp_path / "nii.sqlite")
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.desk()
    yield url
    server.give_back(url)
