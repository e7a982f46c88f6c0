"""The few expressions that SQLite and PostgreSQL spell differently. Nowhere else does code ask which one it is on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Date,
    Integer,
    Table,
    Text,
    TypeDecorator,
    bindparam,
    func,
    literal,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.operators import OperatorType
from sqlalchemy.types import TypeEngine, UserDefinedType

from lifecycle_jobs.db.tables import Json


def insert_new(connection: Connection, table: Table, key: Column[Any]) -> postgresql.Insert | sqlite.Insert:
    """An insert that passes over each row whose unique `key` is there already. Its SELECT needs a WHERE on SQLite.

    `… WHERE NOT EXISTS` says the same, but PostgreSQL, which plans by what the tables held before, goes through all
    that the statement itself has written so far, for each row anew, where they were empty in the morning.
    """
    inserting = postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)
    return inserting.on_conflict_do_nothing(index_elements=[key])


class days_later(FunctionElement[date]):
    """`days_later(day, n)`: the date `n` days after a date; none for none."""

    type = Date()
    inherit_cache = True
    name = "days_later"


class days_between(FunctionElement[int]):
    """`days_between(first, last)`: days from the first date to the last."""

    type = Integer()
    inherit_cache = True
    name = "days_between"


class latest(FunctionElement[date]):
    """`latest(a, b, …)`: the latest of several dates, none of which may be none (SQLite would answer none)."""

    type = Date()
    inherit_cache = True
    name = "latest"


class json_object(FunctionElement[Any]):
    """`json_object(key, value, …)`: a JSON object built on the server. Dates become ISO strings."""

    type = Json
    inherit_cache = True
    name = "json_object"


class joined(FunctionElement[str]):
    """`joined(a, b, …)`: texts one after the other. Dates become ISO strings."""

    type = Text()
    inherit_cache = True
    name = "joined"


def _arguments(element: FunctionElement[Any], compiler: SQLCompiler, **kw: Any) -> list[str]:
    clauses: list[ColumnElement[Any]] = list(element.clauses)
    return [compiler.process(clause, **kw) for clause in clauses]


@compiles(days_later, "sqlite")
def _days_later_sqlite(element: days_later, compiler: SQLCompiler, **kw: Any) -> str:
    day, number = _arguments(element, compiler, **kw)
    return f"date({day}, ({number}) || ' days')"


@compiles(days_later, "postgresql")
def _days_later_postgresql(element: days_later, compiler: SQLCompiler, **kw: Any) -> str:
    day, number = _arguments(element, compiler, **kw)
    return f"({day} + {number})"


@compiles(days_between, "sqlite")
def _days_between_sqlite(element: days_between, compiler: SQLCompiler, **kw: Any) -> str:
    first, last = _arguments(element, compiler, **kw)
    return f"CAST(julianday({last}) - julianday({first}) AS INTEGER)"


@compiles(days_between, "postgresql")
def _days_between_postgresql(element: days_between, compiler: SQLCompiler, **kw: Any) -> str:
    first, last = _arguments(element, compiler, **kw)
    return f"({last} - {first})"


@compiles(latest, "sqlite")
def _latest_sqlite(element: latest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"max({', '.join(_arguments(element, compiler, **kw))})"


@compiles(latest, "postgresql")
def _latest_postgresql(element: latest, compiler: SQLCompiler, **kw: Any) -> str:
    return f"GREATEST({', '.join(_arguments(element, compiler, **kw))})"


@compiles(json_object, "sqlite")
def _json_object_sqlite(element: json_object, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_object({', '.join(_arguments(element, compiler, **kw))})"


@compiles(json_object, "postgresql")
def _json_object_postgresql(element: json_object, compiler: SQLCompiler, **kw: Any) -> str:
    return f"jsonb_build_object({', '.join(_arguments(element, compiler, **kw))})"


@compiles(joined, "sqlite")
@compiles(joined, "postgresql")
def _joined(element: joined, compiler: SQLCompiler, **kw: Any) -> str:
    # concat() would be nicer; SQLite has it only since 3.44.
    return "(" + " || ".join(f"CAST({text} AS TEXT)" for text in _arguments(element, compiler, **kw)) + ")"


class by_code_point(FunctionElement[str]):
    """`by_code_point(text)`: the text, to be compared by code point and not as a country's dictionary has it."""

    type = Text()
    inherit_cache = True
    name = "by_code_point"


@compiles(by_code_point, "sqlite")
def _by_code_point_sqlite(element: by_code_point, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(by_code_point, "postgresql")
def _by_code_point_postgresql(element: by_code_point, compiler: SQLCompiler, **kw: Any) -> str:
    return f'({compiler.process(element.clauses, **kw)}) COLLATE "C"'


class as_it_stands(FunctionElement[str]):
    """`as_it_stands(column)`: the text of a row that is found by its id; no index is looked for by it.

    PostgreSQL believes an index of what waits to be as small as it was when the table was last analysed: in the
    morning empty. To ask what state a row is in, it would then walk along all that waits, for each row anew, instead of
    taking the row by its id. From version 18 on it skips along, before it made a long delivery many times as long.
    """

    type = Text()
    inherit_cache = True
    name = "as_it_stands"


@compiles(as_it_stands, "sqlite")
def _as_it_stands_sqlite(element: as_it_stands, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clauses, **kw)


@compiles(as_it_stands, "postgresql")
def _as_it_stands_postgresql(element: as_it_stands, compiler: SQLCompiler, **kw: Any) -> str:
    return f"({compiler.process(element.clauses, **kw)} || '')"


class in_share(FunctionElement[bool]):
    """`in_share(text, number, of)`: whether a text falls to one of so many shares, counted from 0.

    Which one may differ from server to server. SQLite has no such function, and whoever writes to it has no helpers.
    """

    type = Boolean()
    inherit_cache = True
    name = "in_share"


@compiles(in_share, "postgresql")
def _in_share_postgresql(element: in_share, compiler: SQLCompiler, **kw: Any) -> str:
    text, number, of = _arguments(element, compiler, **kw)
    # Not simply `… = number`: PostgreSQL expects that of one row in two hundred, and would sort a whole table for them.
    return f"CASE WHEN mod(hashtext({text}) & 2147483647, {of}) = {number} THEN true ELSE false END"


@dataclass(frozen=True, slots=True)
class Parameter:
    """The name of a parameter that is given when the statement is executed."""

    name: str


class among(FunctionElement[bool]):
    """`among(column, values)`: whether the column is one of many values, sent as one parameter.

    With the name of a parameter in place of the values, a statement can be put together once and used with many.
    """

    type = Boolean()
    inherit_cache = True
    name = "among"

    def __init__(self, column: ColumnElement[Any], values: Sequence[int] | Sequence[str] | Parameter) -> None:
        many = _ManyValues(Text() if isinstance(column.type, Text) else BigInteger())
        sent = bindparam(values.name, type_=many) if isinstance(values, Parameter) else literal(values, many)
        super().__init__(column, sent)

    def self_group(self, against: OperatorType | None = None) -> Self:
        """Stands alone: SQLAlchemy would write `… = 1` on SQLite, which hides the index."""
        del against
        return self


class listed(FunctionElement[Any]):
    """`listed(column)`: all values of a column as one list, in no order; a list of thousands costs what a row costs."""

    inherit_cache = True
    name = "listed"

    def __init__(self, column: ColumnElement[Any]) -> None:
        self.type = _ManyValues(Text() if isinstance(column.type, Text) else BigInteger())
        super().__init__(column)


class _ManyValues(TypeDecorator[Sequence[Any]]):
    """A list as one value: an array on PostgreSQL, JSON text on SQLite, which has no arrays."""

    impl = Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "postgresql":
            return _Array(self.item.compile(dialect))
        return dialect.type_descriptor(Text())

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if isinstance(value, _Listed):
            if value.sent is None:
                value.sent = _as_sent(value, dialect)
            return value.sent
        return _as_sent(value, dialect)

    def process_result_value(self, value: Any, dialect: Dialect) -> Sequence[Any]:
        """Of no rows there are no values."""
        if value is None:
            return ()
        if dialect.name == "postgresql":
            return _Listed(value)
        found = _Listed(json.loads(value))
        found.sent = value
        return found


class _Listed(tuple[Any, ...]):  # noqa: SLOT001 -- slots of a tuple must be empty, and this one carries its text
    """Values that the database listed, and how it is told of them: the same thousands go back with each statement."""

    sent: str | None = None


def _as_sent(values: Sequence[Any], dialect: Dialect) -> str:
    return _as_array(values) if dialect.name == "postgresql" else json.dumps(values)


class _Array(UserDefinedType[str]):
    """An array of PostgreSQL, sent as PostgreSQL writes it: of a list the driver makes that ten times as slowly."""

    cache_ok = True
    render_bind_cast = True

    def __init__(self, item: str) -> None:
        self.item = item

    def get_col_spec(self, **_: Any) -> str:
        return f"{self.item}[]"


def _as_array(values: Sequence[int] | Sequence[str]) -> str:
    return "{" + ",".join([_quoted(each) if isinstance(each, str) else str(each) for each in values]) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@compiles(listed, "sqlite")
def _listed_sqlite(element: listed, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_group_array({', '.join(_arguments(element, compiler, **kw))})"


@compiles(listed, "postgresql")
def _listed_postgresql(element: listed, compiler: SQLCompiler, **kw: Any) -> str:
    return f"array_agg({', '.join(_arguments(element, compiler, **kw))})"


@compiles(among, "sqlite")
def _among_sqlite(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = element.clauses
    each = func.json_each(values).table_valued("value", name="json_each")  # so that a query's plan names it
    return compiler.process(column.in_(select(each.c.value)), **kw)


@compiles(among, "postgresql")
def _among_postgresql(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = _arguments(element, compiler, **kw)
    return f"{column} = ANY({values})"
