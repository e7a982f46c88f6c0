"""What PostgreSQL believes of its tables, kept true while one of them grows by much.

It plans each statement by what the last ANALYZE saw. Autovacuum makes one some minute later; until then a table that
was empty in the morning and has a million rows by now is gone through row by row for every box: a day on which very
many boxes are due, or the first one after an import, would take hours instead of seconds.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.compiler import DDLCompiler


def refresh(connection: Connection, *tables: Table) -> None:
    """Have PostgreSQL look at tables anew: at a sample of each, in less than a second. SQLite plans without.

    One that somebody else is changing in its form is left out and not waited for.
    """
    if connection.dialect.name == "postgresql":
        for each in tables:
            connection.execute(_Analyze(each))


class _Analyze(ExecutableDDLElement):
    """`ANALYZE` of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table


@compiles(_Analyze, "postgresql")
def _analyze(element: _Analyze, compiler: DDLCompiler, **_: Any) -> str:
    return f"ANALYZE (SKIP_LOCKED) {compiler.preparer.format_table(element.table)}"
