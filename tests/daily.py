"""A day on a test's own database: settings, the call, and the rows of every table to compare."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sqlalchemy import select, text

from lifecycle_jobs.day import DayReport, Wish, run_day
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import metadata
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.planning.rehearsal import dry_run
from lifecycle_jobs.settings import Settings, load_settings

Rows = dict[str, list[dict[str, Any]]]
"""The rows of some tables, by table."""

OPERATOR = Operator("test", None, date(2027, 1, 1))

RECORDS = ("runs", "run_jobs", "leases")
"""Tables that tell when the program ran, not what it did."""


def settings_for(tmp_path: Path, **sections: Mapping[str, Any]) -> Settings:
    """The shipped settings, mail and journal in a folder of the test; `deletion={"always_allowed": 3}` and so on."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("LIFECYCLE_")}
    with patch.dict(os.environ, others, clear=True):  # what the developer has set must not decide a test
        settings = load_settings()
    places: dict[str, Mapping[str, Any]] = {
        "sandbox": {"journal": tmp_path / "journal.jsonl"},
        "mail": {"directory": tmp_path / "mail"},
        "day_plans": {"directory": tmp_path / "day-plans"},
    }
    changed = {
        name: getattr(settings, name).model_copy(update={**places.get(name, {}), **sections.get(name, {})})
        for name in places.keys() | sections.keys()
    }
    return settings.model_copy(update=changed)


def run(store: Store, settings: Settings, on: date, **wish: Any) -> DayReport:
    """Do the day."""
    return run_day(store, settings, on, OPERATOR, Wish(**wish), lambda _name, _rows: None)


def rehearse(store: Store, settings: Settings, on: date, **wish: Any) -> DayReport:
    """Say what the day would do."""
    return dry_run(store, settings, on, OPERATOR, Wish(**wish), lambda _name, _rows: None)


def all_rows(store: Store, *, but: tuple[str, ...] = ()) -> Rows:
    """Every row of every table, but for some."""
    with store.read() as connection:
        return {
            table.name: [dict(row) for row in connection.execute(select(table).order_by(*table.primary_key)).mappings()]
            for table in metadata.sorted_tables
            if table.name not in but
        }


@contextmanager
def failing(store: Store, table: str, action: str, condition: str) -> Iterator[None]:
    """In the block the database refuses such a write: `failing(store, "boxes", "UPDATE", "OLD.id = 3")`."""
    with store.write() as connection:
        if store.dialect == "sqlite":
            connection.execute(
                text(
                    f"CREATE TRIGGER refuse BEFORE {action} ON {table} WHEN {condition} "
                    "BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
                )
            )
        else:
            connection.execute(
                text(
                    "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN RAISE integrity_constraint_violation USING MESSAGE = 'refused by the test'; END $$"
                )
            )
            connection.execute(
                text(
                    f"CREATE TRIGGER refuse BEFORE {action} ON {table} FOR EACH ROW WHEN ({condition}) "
                    "EXECUTE FUNCTION refuse()"
                )
            )
    try:
        yield
    finally:
        with store.write() as connection:
            connection.execute(text("DROP TRIGGER refuse" + ("" if store.dialect == "sqlite" else f" ON {table}")))
