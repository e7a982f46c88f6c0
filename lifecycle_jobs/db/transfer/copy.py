"""A whole database with all its history into an empty one, between SQLite and PostgreSQL either way (SPEC §6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from sqlalchemy import Connection, Table, func, select

from lifecycle_jobs.db import schema, statistics
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import leases, metadata
from lifecycle_jobs.db.transfer.bulk import insert_rows, restart_numbering
from lifecycle_jobs.db.transfer.snapshot import snapshot, stream
from lifecycle_jobs.errors import DatabaseNotReady, Refused

Progress = Callable[[str, int], None]
"""Hears which table is being copied and how many of its rows are."""

# Who holds the lease on one database has no right to another.
COPIED = tuple(table for table in metadata.sorted_tables if table is not leases)
"""What a copy consists of, in the order in which the tables refer to each other."""


def copy_database(source: Store, target: Store, *, progress: Progress | None = None) -> Mapping[str, int]:
    """Copy every row, as it is at one moment, in one transaction on the target; returns rows by table.

    Raises DatabaseNotReady if the two are not of the same schema, and Refused if the target is not empty.
    """
    told = progress or _in_silence
    with snapshot(source) as reading, target.write() as writing:
        _require_same_schema(reading, writing)
        _require_empty(writing)
        for table in COPIED:
            _copy(reading, writing, table, told)
        counts = {table.name: _count(reading, table) for table in COPIED}
        arrived = {table.name: _count(writing, table) for table in COPIED}
        if arrived != counts:
            raise Refused(f"The copy does not hold as many rows as the original: {arrived}, not {counts}.")
        statistics.refresh(writing, *COPIED)
    return counts


def _require_same_schema(source: Connection, target: Connection) -> None:
    here, there = schema.version(source), schema.version(target)
    if here is None or here != there:
        raise DatabaseNotReady(
            f"The database to copy is at schema version {here or 'none'}, the target at {there or 'none'}. "
            "Bring both to the same version with: lifecycle-jobs db upgrade"
        )


def _require_empty(target: Connection) -> None:
    filled = [table.name for table in COPIED if target.execute(select(table).limit(1)).first() is not None]
    if filled:
        raise Refused(f"The target is not empty: it has rows in {', '.join(filled)}. Nothing has been copied.")


def _copy(source: Connection, target: Connection, table: Table, told: Progress) -> None:
    names = [column.name for column in table.columns]
    rows = _for_driver(target, table, stream(source, select(table).order_by(*table.primary_key.columns)))
    insert_rows(target, table, names, rows, partial(told, table.name))
    restart_numbering(target, table)


def _for_driver(target: Connection, table: Table, rows: Iterator[Any]) -> Iterator[list[Any]]:
    conversions = [column.type.dialect_impl(target.dialect).bind_processor(target.dialect) for column in table.columns]
    for row in rows:
        yield [value if convert is None else convert(value) for convert, value in zip(conversions, row, strict=True)]


def _count(connection: Connection, table: Table) -> int:
    return connection.execute(select(func.count()).select_from(table)).scalar_one()


def _in_silence(_table: str, _rows: int) -> None:
    """Nobody wants to hear."""
