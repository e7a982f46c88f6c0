"""One update, made again and again with other values, each time at once.

For who records many small things, each before the next may happen. What begins, checks and ends a transaction costs
several times such an update, and so does what SQLAlchemy does for a statement it has not seen: here it is put into
words once, for a connection that is kept, and then handed to the driver. Alternative: one statement that takes lists.
It was tried; PostgreSQL needed four times as long to take them apart as for the update.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Update
from sqlalchemy.exc import DBAPIError


class Repeated:
    """An update on a connection on which each statement is committed by itself, and which nobody else uses."""

    def __init__(self, connection: Connection, update: Update) -> None:
        dialect = connection.dialect
        compiled = dialect.statement_compiler(dialect, update)
        self._text = str(compiled)
        self._fixed = {name: bound.value for bound, name in compiled.bind_names.items() if not bound.required}
        processors = {
            name: bound.type.dialect_impl(dialect).bind_processor(dialect)
            for bound, name in compiled.bind_names.items()
        }
        self._processors = [(name, process) for name, process in processors.items() if process is not None]
        self._order = compiled.positiontup
        self._driver = dialect.loaded_dbapi
        self._in_one = dialect.name == "sqlite"
        self._cursor = connection.connection.cursor()

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Make it with each of these values; how many rows changed. All last or none, and then at once.

        Raises what SQLAlchemy would raise, but without the values.
        """
        try:
            if len(rows) == 1:
                self._cursor.execute(self._text, self._sent(rows[0]))
                return int(self._cursor.rowcount)
            return self._several(rows)
        except self._driver.Error as error:
            raise DBAPIError.instance(self._text, None, error, self._driver.Error, hide_parameters=True) from error

    def _several(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """PostgreSQL gets them in one piece, and takes what comes in one piece as one transaction."""
        if self._in_one:
            self._cursor.execute("BEGIN IMMEDIATE")
        try:
            self._cursor.executemany(self._text, [self._sent(row) for row in rows])
            changed = int(self._cursor.rowcount)
        except BaseException:
            if self._in_one:
                self._cursor.execute("ROLLBACK")
            raise
        if self._in_one:
            self._cursor.execute("COMMIT")
        return changed

    def _sent(self, values: Mapping[str, Any]) -> Any:
        """What the driver is given: a tuple or a mapping, as it counts or names its parameters."""
        row = {**self._fixed, **values}
        for name, process in self._processors:
            row[name] = process(row[name])
        return row if self._order is None else tuple(row[name] for name in self._order)
