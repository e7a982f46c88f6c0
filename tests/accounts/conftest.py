"""An office on each kind of database, where a clerk sits."""

from __future__ import annotations

from pathlib import Path

import pytest

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.payments.sandbox import SandboxGateway
from tests.jobs.running import Office, settings_for


@pytest.fixture
def office(store: Store, tmp_path: Path) -> Office:
    """An office with an empty database of each kind."""
    settings = settings_for(tmp_path)
    return Office(store, settings, SandboxGateway(settings.sandbox.journal))


@pytest.fixture
def postgresql_office(postgresql_store: Store, tmp_path: Path) -> Office:
    """An office with an empty PostgreSQL database."""
    settings = settings_for(tmp_path)
    return Office(postgresql_store, settings, SandboxGateway(settings.sandbox.journal))
