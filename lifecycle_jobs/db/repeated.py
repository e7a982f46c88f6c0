"""One update, made again and again with other values, each time at once; or one question, asked again and again.

For who records many small things, each before the next may happen. What begins, checks and ends a transaction costs
several times such an update, and so does what SQLAlchemy does for a statement it has not seen: here it is put into
words once, for a connection that is kept, and then handed to the driver. Alternative: one statement that takes lists.
It was tried; PostgreSQL needed four times as long to take them apart as for the update.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import Connection, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Values = tuple[Any, ...]


class _Kept:
    """A statement on a connection on which each is committed by itself, and which nobody else uses."""

    def __init__(self, connection: Connection, statement: Update | Select[Any]) -> None:
        dialect = connection.dialect
        compiled, self._driven = _driven(connection, statement)
        self._text = str(compiled)
        self._fixed = {name: bound.value for bound, name in compiled.bind_names.items() if not bound.required}
        processors = {
            name: bound.type.dialect_impl(dialect).bind_processor(dialect)
            for bound, name in compiled.bind_names.items()
        }
        self._processors = [(name, process) for name, process in processors.items() if process is not None]
        self._order = compiled.positiontup or []
        self._driver_error = dialect.loaded_dbapi.Error

    def _in_order(self, values: Mapping[str, Any]) -> Values:
        row = {**self._fixed, **values}
        for name, process in self._processors:
            row[name] = process(row[name])
        return tuple([row[name] for name in self._order])

    @contextmanager
    def _as_sqlalchemy_tells(self) -> Iterator[None]:
        """What the driver raises as what SQLAlchemy would raise, but without the values."""
        try:
            yield
        except self._driver_error as error:
            raise DBAPIError.instance(self._text, None, error, self._driver_error, hide_parameters=True) from error


class Repeated(_Kept):
    """An update, to be made with values that are given each time."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Make it with each of these values; how many rows changed. All last or none, and then at once."""
        with self._as_sqlalchemy_tells():
            return self._driven.changed([self._in_order(row) for row in rows])


class Asked(_Kept):
    """A question whose values, if there are any, are always the same."""

    def __call__(self) -> bool:
        """Whether there is any row now."""
        with self._as_sqlalchemy_tells():
            return self._driven.found(self._in_order({}))


class _Statement(Protocol):
    """In the hands of a driver."""

    def changed(self, rows: Sequence[Values]) -> int: ...

    def found(self, values: Values) -> bool: ...


def _driven(connection: Connection, statement: Update | Select[Any]) -> tuple[SQLCompiler, _Statement]:
    dialect = connection.dialect
    driven: Any = connection.connection.dbapi_connection
    if isinstance(driven, sqlite3.Connection):
        compiled = dialect.statement_compiler(dialect, statement)
        return compiled, _InSqlite(driven, str(compiled))
    from lifecycle_jobs.db.prepared import Prepared, numbered

    compiled = numbered(statement)
    return compiled, Prepared(driven, str(compiled))


class _InSqlite:
    def __init__(self, connection: sqlite3.Connection, text: str) -> None:
        self._text = text
        self._cursor = connection.cursor()

    def changed(self, rows: Sequence[Values]) -> int:
        if len(rows) == 1:
            self._cursor.execute(self._text, rows[0])
            return self._cursor.rowcount
        self._cursor.execute("BEGIN IMMEDIATE")
        try:
            self._cursor.executemany(self._text, rows)
            changed = self._cursor.rowcount
        except BaseException:
            self._cursor.execute("ROLLBACK")
            raise
        self._cursor.execute("COMMIT")
        return changed

    def found(self, values: Values) -> bool:
        # All of it: a question that is not read to its end would see the database for ever as it is now.
        return bool(self._cursor.execute(self._text, values).fetchall())
