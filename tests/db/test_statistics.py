"""PostgreSQL knows how much there is before autovacuum has told it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from sqlalchemy import text

from lifecycle_jobs.db import statistics
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import customers, events
from lifecycle_jobs.payments.gateways import open_gateway
from tests import factories
from tests.jobs.running import E, Office, settings_for


def believed(store: Store, table: str) -> int:
    """How many rows PostgreSQL thinks a table has; -1 if it has never looked."""
    with store.read() as connection:
        return int(
            connection.scalar(text("SELECT reltuples FROM pg_class WHERE relname = :name"), {"name": table}) or 0
        )


def test_a_table_is_looked_at_anew(postgresql_store: Store) -> None:
    with postgresql_store.write() as connection:
        for number in range(20):
            factories.customer(connection, f"c{number}")
    assert believed(postgresql_store, "customers") < 20

    with postgresql_store.write() as connection:
        statistics.refresh(connection, customers)

    assert believed(postgresql_store, "customers") == 20


def test_on_sqlite_there_is_nothing_to_do(sqlite_store: Store) -> None:
    with sqlite_store.write() as connection:
        statistics.refresh(connection, events)


def test_a_job_that_writes_very_many_events_is_not_planned_as_if_there_were_none(
    postgresql_store: Store, tmp_path: Path
) -> None:
    settings = settings_for(tmp_path)
    office = Office(postgresql_store, settings, open_gateway(settings))
    with postgresql_store.write() as connection:
        factories.customer(connection)
        for number in range(9):
            factories.box(connection, f"{number}@pec.example.it", expires_on=E)

    office.job("suspend", E + timedelta(days=1), chunk_size=2)

    assert believed(postgresql_store, "events") == 8  # as there were after the fourth of five chunks
