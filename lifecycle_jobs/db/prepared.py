"""One statement on a connection to PostgreSQL, prepared once and then only given its values.

What psycopg does around each execution takes longer than PostgreSQL does for a small update: here the values go to
libpq as they are, and several of them in one piece. The connection must be nobody else's, and each statement on it a
transaction of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from select import POLLIN, POLLOUT, poll
from typing import Any, Final

from psycopg import Connection, OperationalError
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import Select, Update
from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg, PGDialect_psycopg
from sqlalchemy.sql.compiler import SQLCompiler

_NAME: Final = b"repeated"
_SILENT: Final = "the database gave no answer"
_REFUSED: Final = frozenset({ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE})


def numbered(statement: Select[Any] | Update) -> SQLCompiler:
    """The statement with its parameters as PostgreSQL counts them: `$1`, `$2`."""
    counting = PGDialect_psycopg(paramstyle="numeric_dollar")
    return PGCompiler_psycopg(counting, statement)


class Prepared:
    """A prepared statement. Its values are texts, whole numbers, dates, moments, truths or none. Texts end at a NUL.

    PostgreSQL cannot keep that character; what a mail server says may hold it all the same.

    It raises what psycopg would raise.
    """

    def __init__(self, connection: Connection[Any], text: str) -> None:
        self._pgconn = connection.pgconn
        self._ready = poll()
        self._ready.register(self._pgconn.socket)
        _accepted(self._pgconn.prepare(_NAME, text.encode()))

    def changed(self, rows: Sequence[Sequence[Any]]) -> int:
        """Execute it with each of these values; how many rows changed. All last or none."""
        return self._once(rows[0]).command_tuples or 0 if len(rows) == 1 else self._several(rows)

    def found(self, values: Sequence[Any]) -> bool:
        """Whether it gives any row."""
        return self._once(values).ntuples > 0

    def _once(self, values: Sequence[Any]) -> PGresult:
        self._pgconn.send_query_prepared(_NAME, _sent(values))
        result = self._answer()
        self._answer()  # libpq wants to be asked until there is no more
        if result is None:
            raise OperationalError(_SILENT)
        return _accepted(result)

    def _several(self, rows: Sequence[Sequence[Any]]) -> int:
        """What comes in one piece PostgreSQL takes as one transaction."""
        self._pgconn.enter_pipeline_mode()
        for values in rows:
            self._pgconn.send_query_prepared(_NAME, _sent(values))
        self._pgconn.pipeline_sync()
        answers: list[PGresult] = []
        between = False
        while (answer := self._answer()) is None or answer.status != ExecStatus.PIPELINE_SYNC:
            if answer is not None:
                answers.append(answer)
            elif between:
                raise OperationalError(_SILENT)
            between = answer is None
        self._pgconn.exit_pipeline_mode()
        return sum(_accepted(answer).command_tuples or 0 for answer in answers)  # the first that was refused is why

    def _answer(self) -> PGresult | None:
        """Waited for in Python, so that a signal to this process is heeded meanwhile."""
        while self._pgconn.flush():
            self._wait(POLLIN | POLLOUT)
        while self._pgconn.is_busy():
            self._wait(POLLIN)
        return self._pgconn.get_result()

    def _wait(self, for_what: int) -> None:
        self._ready.modify(self._pgconn.socket, for_what)
        self._ready.poll()
        self._pgconn.consume_input()


def _accepted(result: PGresult) -> PGresult:
    if result.status in _REFUSED:
        raise error_from_result(result)
    return result


def _sent(values: Sequence[Any]) -> list[bytes | None]:
    return [None if value is None else str(value).encode() for value in values]
