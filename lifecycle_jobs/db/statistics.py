"""What PostgreSQL believes of its tables, kept true while one of them grows by much.

It plans each statement by what the last ANALYZE saw. Autovacuum makes one some minute later; until then a table that
was empty in the morning and has a million rows by now is gone through row by row for every box: a day on which very
many boxes are due, or the first one after an import, would take hours instead of seconds.
"""

from __future__ import annotations

from sqlalchemy import Table, text

from lifecycle_jobs.db.session import Store


def refresh(store: Store, table: Table) -> None:
    """Have PostgreSQL look at a table anew: a sample of it, in less than a second. SQLite plans without."""
    if store.dialect != "postgresql":
        return
    with store.write(durable=False) as connection:
        name = connection.dialect.identifier_preparer.format_table(table)
        connection.execute(text(f"ANALYZE (SKIP_LOCKED) {name}"))  # the name is quoted by the dialect
