"""One update, made again and again with other values, each time at once; or one question, asked again and again.

For who records many small things, each before the next may happen. What begins, checks and ends a transaction costs
several times such an update, and so does what SQLAlchemy does for a statement it has not seen: here it is put into
words once, for a connection that is kept, and then handed to the driver. Alternative: one statement that takes lists.
It was tried; PostgreSQL needed four times as long to take them apart as for the update.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, Select, Update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Values = tuple[Any, ...]


class Repeated:
    """An update on a connection on which each statement is committed by itself, and which nobody else uses."""

    def __init__(self, connection: Connection, update: Update) -> None:
        compiled, self._made = _driven(connection, update)
        self._text = str(compiled)
        self._driver_error = connection.dialect.loaded_dbapi.Error
        dialect = connection.dialect
        self._fixed = {name: bound.value for bound, name in compiled.bind_names.items() if not bound.required}
        processors = {
            name: bound.type.dialect_impl(dialect).bind_processor(dialect)
            for bound, name in compiled.bind_names.items()
        }
        self._processors = [(name, process) for name, process in processors.items() if process is not None]
        self._order = compiled.positiontup or []

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Make it with each of these values; how many rows changed. All last or none, and then at once.

        Raises what SQLAlchemy would raise, but without the values.
        """
        try:
            return self._made.changed([self._in_order(row) for row in rows])
        except self._driver_error as error:
            raise DBAPIError.instance(self._text, None, error, self._driver_error, hide_parameters=True) from error

    def _in_order(self, values: Mapping[str, Any]) -> Values:
        row = {**self._fixed, **values}
        for name, process in self._processors:
            row[name] = process(row[name])
        return tuple([row[name] for name in self._order])


class Asked:
    """A question without values, on such a connection."""

    def __init__(self, connection: Connection, question: Select[Any]) -> None:
        compiled, self._made = _driven(connection, question)
        self._text = str(compiled)
        self._driver_error = connection.dialect.loaded_dbapi.Error

    def __call__(self) -> bool:
        """Whether there is any row. Raises what SQLAlchemy would raise."""
        try:
            return self._made.found()
        except self._driver_error as error:
            raise DBAPIError.instance(self._text, None, error, self._driver_error, hide_parameters=True) from error


class _Statement(Protocol):
    """In the hands of a driver."""

    def changed(self, rows: Sequence[Values]) -> int: ...

    def found(self) -> bool: ...


def _driven(connection: Connection, statement: Update | Select[Any]) -> tuple[SQLCompiler, _Statement]:
    dialect = connection.dialect
    driven: Any = connection.connection.dbapi_connection
    if isinstance(driven, sqlite3.Connection):
        compiled = dialect.statement_compiler(dialect, statement)
        return compiled, _InSqlite(driven, str(compiled))
    from lifecycle_jobs.db.prepared import Prepared, numbered

    compiled = numbered(dialect, statement)
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

    def found(self) -> bool:
        # All of it: a question that is not read to its end would see the database for ever as it is now.
        return bool(self._cursor.execute(self._text).fetchall())
