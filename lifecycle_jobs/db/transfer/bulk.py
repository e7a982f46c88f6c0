"""Putting very many rows into a table in the quickest way that each database has, and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, Final, cast

from psycopg import sql
from sqlalchemy import Connection, Table, func, insert, select, text

_BATCH = 5_000

Told = Callable[[int], None]
"""Hears now and then how many rows it has been so far."""

DriverRow = Sequence[Any]
"""Values in the form that the driver of the database takes."""

Value = str | int | bool | None
"""What a column may hold."""

Column = Sequence[Value]
"""Values of one column: of one kind, but for those that are missing."""

_ESCAPED: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


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


def insert_columns(connection: Connection, table: Table, pieces: Iterable[Mapping[str, Column]], told: Told) -> int:
    """Insert rows that come some thousands at a time, by column, the same columns each time; returns how many.

    Dates are given as ISO text: both databases take that.
    """
    remaining = iter(pieces)
    first = next(remaining, None)
    if first is None:
        return 0
    names = [column.name for column in table.columns if column.name in first]
    ordered = ([piece[name] for name in names] for piece in chain([first], remaining))
    return _insert_columns(connection, table, names, ordered, told)


def _insert_columns(
    connection: Connection, table: Table, names: Sequence[str], pieces: Iterable[Sequence[Column]], told: Told
) -> int:
    if connection.dialect.name == "postgresql":
        return _copy_columns(connection, table, names, pieces, told)
    statement = insert(table).compile(dialect=connection.dialect, column_keys=list(names))
    total = 0
    for piece in pieces:
        rows = list(zip(*piece, strict=True))
        if rows:
            connection.exec_driver_sql(str(statement), rows)
        total += len(rows)
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
    total = 0
    with _copying(connection, table, names) as copy:
        for batch in _batches(rows):
            for row in batch:
                copy.write_row(row)
            total += len(batch)
            told(total)
    return total


def _copy_columns(
    connection: Connection, table: Table, names: Sequence[str], pieces: Iterable[Sequence[Column]], told: Told
) -> int:
    # A row at a time, the driver would take as long to write them down as the database to store them.
    total = 0
    with _copying(connection, table, names) as copy:
        for piece in pieces:
            lines = list(map("\t".join, zip(*map(_written, piece), strict=True)))
            if lines:
                copy.write(("\n".join(lines) + "\n").encode())
            total += len(lines)
            told(total)
    return total


def _written(column: Column) -> Sequence[str]:
    """The values of a column as `COPY` reads them."""
    kinds = set(map(type, column))
    if kinds == {str}:
        return _escaped(cast("Sequence[str]", column))
    if kinds == {int}:
        return list(map(str, column))
    written = {value: _one_written(value) for value in set(column)}
    return [written[value] for value in column]


def _one_written(value: Value) -> str:
    if value is None:
        return r"\N"
    return value.translate(_ESCAPED) if isinstance(value, str) else str(value)


def _escaped(column: Sequence[str]) -> Sequence[str]:
    together = "".join(column)
    if any(special in together for special in "\\\t\n\r"):
        return [text.translate(_ESCAPED) for text in column]
    return column


@contextmanager
def _copying(connection: Connection, table: Table, names: Sequence[str]) -> Iterator[Any]:
    identifiers = sql.SQL(", ").join(map(sql.Identifier, names))
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), identifiers)
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        yield copy


def _batches(rows: Iterable[DriverRow]) -> Iterator[list[DriverRow]]:
    iterator = iter(rows)
    while batch := list(islice(iterator, _BATCH)):
        yield batch
