"""Providers for whole lives, on both kinds of database or on one of them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import freezegun
import pytest
import typer.main
from freezegun.api import FrozenDateTimeFactory

import lifecycle_jobs
from lifecycle_jobs import testing
from lifecycle_jobs.db import session
from lifecycle_jobs.db.session import Store, open_store
from tests import servers
from tests.auditing import assert_books_are_right
from tests.scenarios.provider import Provider

# A module that is first imported while time stands still would keep the false clock for good.
for _module in pkgutil.walk_packages(lifecycle_jobs.__path__, "lifecycle_jobs."):
    if ".migrations" not in _module.name and not _module.name.endswith("__main__"):
        importlib.import_module(_module.name)

# The stop-watch of the test run itself goes on.
freezegun.configure(extend_ignore_list=["_pytest.timing"])

# In one process that types thousands of commands, what never changes is put together once.
command_of = cache(typer.main.get_command)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[FrozenDateTimeFactory]:
    """The clock of all that happens in a test; it stands still until it is moved."""
    stores: list[Store] = []

    @cache  # queries are put into words once for a test, and not again for each command
    def open_once(url: str) -> Store:
        stores.append(open_store(url))
        return stores[-1]

    monkeypatch.setattr(session, "open_store", open_once)
    monkeypatch.setattr(typer.main, "get_command", command_of)
    with freezegun.freeze_time("2026-12-01T04:00:00Z") as frozen:
        assert isinstance(frozen, FrozenDateTimeFactory)
        yield frozen
    for store in stores:
        store.engine.dispose()


@pytest.fixture
def provider(database_url: str, tmp_path: Path, clock: FrozenDateTimeFactory) -> Iterator[Provider]:
    """A provider without customers, on each kind of database."""
    yield from audited(Provider(database_url, tmp_path / "provider", clock))


@pytest.fixture
def embedded(sqlite_url: str, tmp_path: Path, clock: FrozenDateTimeFactory) -> Iterator[Provider]:
    """A provider without customers on SQLite, for what the kind of database has no part in."""
    yield from audited(Provider(sqlite_url, tmp_path / "embedded", clock))


@pytest.fixture
def served(postgresql_url: str, tmp_path: Path, clock: FrozenDateTimeFactory) -> Iterator[Provider]:
    """A provider without customers on PostgreSQL, for what takes long."""
    yield from audited(Provider(postgresql_url, tmp_path / "served", clock))


@pytest.fixture
def another(tmp_path: Path, clock: FrozenDateTimeFactory) -> Iterator[Provider]:
    """A second provider without customers, to compare with."""
    yield from audited(Provider(servers.fresh_sqlite(tmp_path), tmp_path / "another", clock))


@pytest.fixture
def lifecycle(lifecycle: testing.Provider) -> Iterator[testing.Provider]:
    """The fixture that is shipped, for lives in which neither commands nor the kind of database have a part."""
    yield lifecycle
    assert_books_are_right(lifecycle.store, lifecycle.settings)


def audited(provider: Provider) -> Iterator[Provider]:
    """Whatever a test does to a provider, its books are right in the end."""
    yield provider
    answer = provider.command("audit")
    assert answer.code == 0, answer.out + answer.err
