"""Orders that are the same on every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Text, case
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class by_code_point(FunctionElement[str]):  # noqa: N801 -- reads as the SQL function it is
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


def as_listed(column: ColumnElement[str], words: Sequence[str]) -> list[ColumnElement[Any]]:
    """To order by: the words of the list in its order, then all others by code point."""
    position = case({word: number for number, word in enumerate(words)}, value=column, else_=len(words))
    return [position, by_code_point(column)]
