"""An office on each kind of database; `sqlite_office` where the rule is decided row by row in the same code."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.payments.sandbox import SandboxGateway
from tests.jobs.running import Office, settings_for


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """An office with an empty database of each kind."""
    return _office(store, tmp_path)


@pytest.fixture
def sqlite_office(sqlite_store: Store, tmp_path: Path) -> Office:
    """An office with an empty SQLite database."""
    return _office(sqlite_store, tmp_path)


@pytest.fixture
def postgresql_office(postgresql_store: Store, tmp_path: Path) -> Office:
    """An office with an empty PostgreSQL database."""
    return _office(postgresql_store, tmp_path)


def _office(store: Store, tmp_path: Path) -> Office:
    settings = settings_for(tmp_path)
    return Office(store, settings, SandboxGateway(settings.sandbox.journal))
