"""The first import of all, into a PostgreSQL database without customers and boxes: straight into the tables (SPEC §6).

It is the largest that a provider ever makes. Keys, indexes and references cost several times as much when they are kept
row by row as when they are made from the full tables; so they are taken away and made again, in the same transaction.
Nobody else can read these tables meanwhile, and there is nothing in them to read.

This is the way for files in which nothing is wrong. At the first objection all of it is undone, and the import goes by
way of the temporary tables, which also find words for what is wrong. No rule is stated twice for it: the checks are the
same, of views that look like the temporary tables; what keys and references hold is held by these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, cast, literal_column, null, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import (
    AddConstraint,
    CreateIndex,
    CreateTable,
    CreateView,
    DropConstraint,
    DropIndex,
    DropTable,
    DropView,
    ExecutableDDLElement,
)
from sqlalchemy.sql.compiler import DDLCompiler

from lifecycle_jobs.db import statistics
from lifecycle_jobs.db.tables import addons, boxes, customers, metadata, payment_methods
from lifecycle_jobs.db.transfer import apply, checks, settle, staging
from lifecycle_jobs.db.transfer.bulk import Column, Told, insert_columns
from lifecycle_jobs.db.transfer.parse import Reader
from lifecycle_jobs.db.transfer.problems import Problems

_FILLED = (customers, payment_methods, boxes)
"""Those that are filled straight from their files. Add-ons are few, and each has to find its box first."""


_REFERENCES = tuple(
    reference
    for table in metadata.sorted_tables
    for reference in table.foreign_key_constraints
    if table in _FILLED or reference.referred_table in _FILLED
)


def import_first(
    connection: Connection,
    readers: Mapping[str, Reader],
    problems: Problems,
    told: Callable[[str], Told],
    today: date,
) -> dict[str, int] | None:
    """Import the files of these readers, by table, and write the credit ledger; returns the rows of each table.

    None if it cannot be done this way, and nothing has been changed then: the database is not PostgreSQL, or not
    empty, or somebody is reading it, or something is wrong with the files. `problems` is what the readers tell to.
    """
    if connection.dialect.name != "postgresql" or not _is_empty(connection):
        return None
    attempt = connection.begin_nested()
    try:
        rows = _import(connection, readers, problems, told)
        apply.write_ledger(connection, today)
        _drop_look_alikes(connection)
    except _ObjectionError:
        attempt.rollback()
        return None
    except DBAPIError as error:
        # A key that is there twice or refers to nothing, a table that is being read or belongs to another user.
        if error.connection_invalidated:
            raise
        attempt.rollback()
        return None
    attempt.commit()
    return rows


class _ObjectionError(Exception):
    """Something is wrong with the files, or the database has just got a row."""


def _import(
    connection: Connection, readers: Mapping[str, Reader], problems: Problems, told: Callable[[str], Told]
) -> dict[str, int]:
    _keep_all_out(connection)
    if not _is_empty(connection):
        raise _ObjectionError
    rows = dict.fromkeys((*(table.name for table in _FILLED), addons.name), 0)
    with _bare(connection):
        for table in _FILLED:
            if table.name in readers:
                rows[table.name] = _fill(connection, table, readers[table.name], problems, told(table.name))
    statistics.refresh(connection, *_FILLED)
    _make_look_alikes(connection)
    if addons.name in readers:
        rows[addons.name] = staging.fill(connection, staging.addons_in, readers[addons.name], told(addons.name))
        statistics.refresh(connection, staging.addons_in)
    settle.find_boxes_of_new_addons(connection)
    checks.check(connection, problems, torn=frozenset(), keys_hold=True)
    if problems.total:
        raise _ObjectionError
    apply.write(connection, apply.ADDONS)
    statistics.refresh(connection, addons)
    return rows


def _is_empty(connection: Connection) -> bool:
    tables = (*_FILLED, addons)
    return all(connection.execute(select(table.primary_key.columns[0]).limit(1)).first() is None for table in tables)


def _keep_all_out(connection: Connection) -> None:
    # Without waiting: whoever came after would wait behind us for as long as a reader takes.
    tables = {table.name: table for table in _FILLED} | {
        reference.table.name: reference.table for reference in _REFERENCES
    }
    for table in tables.values():
        connection.execute(_LockAlone(table))


class _LockAlone(ExecutableDDLElement):
    """`LOCK TABLE`: for this transaction alone, or not at all."""

    def __init__(self, table: Table) -> None:
        self.table = table


@compiles(_LockAlone, "postgresql")
def _lock_alone(element: _LockAlone, compiler: DDLCompiler, **_: Any) -> str:
    return f"LOCK TABLE {compiler.preparer.format_table(element.table)} IN ACCESS EXCLUSIVE MODE NOWAIT"


@contextmanager
def _bare(connection: Connection) -> Iterator[None]:
    """Within the block the tables have neither keys nor indexes, and nothing refers to them."""
    keys = [table.primary_key for table in _FILLED]
    indexes = sorted((index for table in _FILLED for index in table.indexes), key=lambda index: str(index.name))
    for reference in _REFERENCES:
        connection.execute(DropConstraint(reference))
    for index in indexes:
        connection.execute(DropIndex(index))
    for key in keys:
        connection.execute(DropConstraint(key))
    yield
    connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '128MB'")
    # Not isolated: the definitions would keep in mind that these are not made with their tables.
    for key in keys:
        connection.execute(AddConstraint(key, isolate_from_table=False))
    for index in indexes:
        connection.execute(CreateIndex(index))
    for reference in _REFERENCES:
        connection.execute(AddConstraint(reference, isolate_from_table=False))


def _fill(connection: Connection, table: Table, reader: Reader, problems: Problems, told: Told) -> int:
    def pieces() -> Iterator[Mapping[str, Column]]:
        number = 1
        for piece in reader.pieces():
            if problems.total:
                raise _ObjectionError
            columns: dict[str, Column] = dict(piece.columns)
            if table is boxes:  # numbered in the order of the file, as always
                columns["id"] = range(number, number + len(piece.lines))
                columns["imported_expires_on"] = columns["expires_on"]
                number += len(piece.lines)
            if "credit_cents" in columns:
                columns["credit_cents"] = [cents or 0 for cents in columns["credit_cents"]]
            yield columns
        if problems.total:  # the header row of a file without rows
            raise _ObjectionError

    return insert_columns(connection, table, pieces(), told)


def _make_look_alikes(connection: Connection) -> None:
    """Views by the names of the temporary tables, in which every row is new, and an empty table for the add-ons."""
    for table in _FILLED:
        connection.execute(CreateView(_look_alike(table), _staged(table).name, temporary=True))
    connection.execute(CreateTable(staging.addons_in))


def _drop_look_alikes(connection: Connection) -> None:
    for table in _FILLED:
        connection.execute(DropView(_staged(table)))
    connection.execute(DropTable(staging.addons_in))


def _look_alike(table: Table) -> Select[*tuple[Any, ...]]:
    columns: list[ColumnElement[Any]] = []
    for column in _staged(table).columns:
        if column.name == "line":  # rows lie in the table in the order of the file
            columns.append(literal_column(f"{table.name}.ctid").label("line"))
        elif column.name == "box_id":
            columns.append(boxes.c.id.label("box_id"))
        elif column.name in table.c:
            columns.append(table.c[column.name])
        else:
            columns.append(cast(null(), column.type).label(column.name))
    return select(*columns)


def _staged(table: Table) -> Table:
    return staging.STAGED[table.name]
