"""Putting very many rows into a table in the quickest way that each database has, and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from psycopg import sql
from sqlalchemy import Connection, Table, func, insert, select, text

_BATCH = 5_000

Told = Callable[[int], None]
"""Hears now and then how many rows it has been so far."""

DriverRow = Sequence[Any]
"""Values in the form that the driver of the database takes."""


def insert_rows(
    connection: Connection, table: Table, names: Sequence[str], rows: Iterable[DriverRow], told: Told
) -> int:
    """Insert rows whose values stand in the order of `names`; returns how many."""
    ordered = [column.name for column in table.columns if column.name in names]
    if ordered != list(names):
        raise ValueError(f"columns of {table.name} out of order")
    if connection.dialect.name == "postgresql":
        return _copy(connection, table, names, rows, told)
    statement = insert(table).compile(dialect=connection.dialect, column_keys=list(names))
    total = 0
    for batch in _batches(rows):
        connection.exec_driver_sql(str(statement), [tuple(row) for row in batch])
        total += len(batch)
        told(total)
    return total


def restart_numbering(connection: Connection, table: Table) -> None:
    """Let the numbers that the database gives by itself go on after the highest one that is there.

    SQLite does so anyway. PostgreSQL's counter would give out numbers that came in from elsewhere.
    """
    column = table.autoincrement_column
    if column is None or connection.dialect.name != "postgresql":
        return
    highest = connection.execute(select(func.max(column))).scalar_one()
    statement = text("SELECT setval(pg_get_serial_sequence(:table, :column), :next, false)")
    values = {"table": table.name, "column": column.name, "next": (highest or 0) + 1}
    connection.execute(statement, values)


def _copy(connection: Connection, table: Table, names: Sequence[str], rows: Iterable[DriverRow], told: Told) -> int:
    identifiers = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), identifiers)
    driver: Any = connection.connection.driver_connection
    total = 0
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for batch in _batches(rows):
            for row in batch:
                copy.write_row(row)
            total += len(batch)
            told(total)
    return total


def _batches(rows: Iterable[DriverRow]) -> Iterator[list[DriverRow]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
