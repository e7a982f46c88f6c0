"""A read of the whole database as it was at one moment, however long the reading takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, Select

from lifecycle_jobs.db.session import Store

_BATCH = 5_000


@contextmanager
def snapshot(store: Store) -> Iterator[Connection]:
    """A transaction that sees nothing of what others commit after it began to read."""
    with store.read() as connection:
        if store.dialect == "postgresql" and not connection.in_transaction():
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection


def stream(connection: Connection, query: Select[*tuple[Any, ...]]) -> Iterator[Row[*tuple[Any, ...]]]:
    """The rows of a query, fetched a few thousand at a time."""
    with connection.execution_options(yield_per=_BATCH).execute(query) as result:
        yield from result
