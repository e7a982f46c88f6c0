"""Fixtures that any test may use: stores and database URLs, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import freezegun
import pytest
import structlog

from lifecycle_jobs.db.session import Store, open_store
from tests import compiled, scratch, servers

# Where time stands still, what waits for a time-out would wait for ever.
freezegun.configure(
    extend_ignore_list=[
        "sqlalchemy.pool",
        "sqlalchemy.util.queue",
        "psycopg_pool",
        "psycopg",
        "tests.servers",
        "lifecycle_jobs.pace",
        "lifecycle_jobs.mail.senders",
    ]
)


compiled.share()

_LONG = ("properties", "crash", "scenarios", "forecast", "webhooks", "payments")
"""Folders of tests that take long, the longest first."""


def pytest_configure(config: pytest.Config) -> None:
    """Give the test run its folder, before pytest-xdist starts any worker."""
    if not hasattr(config, "workerinput"):
        scratch.choose()
        servers.begin()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the database server when the last worker is done."""
    if not hasattr(config, "workerinput"):
        servers.end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first: one that begins last would keep a single worker busy while the others have nothing to do."""
    items.sort(key=lambda item: _LONG.index(item.path.parent.name) if item.path.parent.name in _LONG else len(_LONG))


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """What one test sets up to be logged, and where to, is not the next one's."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a fresh migrated SQLite database."""
    return servers.fresh_sqlite(tmp_path)


@pytest.fixture
def postgresql_url() -> Iterator[str]:
    """URL of a fresh migrated PostgreSQL database."""
    with servers.fresh_postgresql() as url:
        yield url


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """URL of an SQLite database that is not there yet."""
    return servers.fresh_sqlite(tmp_path, migrated=False)


@pytest.fixture
def empty_postgresql_url() -> Iterator[str]:
    """URL of a PostgreSQL database without tables."""
    with servers.fresh_postgresql(migrated=False) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """URL of a fresh migrated database of each kind; for tests that start a process."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """URL of a database without tables, of each kind."""
    url: str = request.getfixturevalue(f"empty_{request.param}_url")
    return url


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Iterator[Store]:
    """A fresh migrated SQLite database."""
    yield from _opened(sqlite_url)


@pytest.fixture
def postgresql_store(postgresql_url: str) -> Iterator[Store]:
    """A fresh migrated PostgreSQL database."""
    yield from _opened(postgresql_url)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A fresh migrated database of each kind, where the test does not care which."""
    yield from _opened(database_url)


def _opened(url: str) -> Iterator[Store]:
    store = open_store(url)
    try:
        yield store
    finally:
        store.engine.dispose()
