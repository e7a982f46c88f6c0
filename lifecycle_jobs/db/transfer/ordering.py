"""Orders that are the same on every database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, case

from lifecycle_jobs.db.dialect import by_code_point


def as_listed(column: ColumnElement[str], words: Sequence[str]) -> list[ColumnElement[Any]]:
    """To order by: the words of the list in its order, then all others by code point."""
    position = case({word: number for number, word in enumerate(words)}, value=column, else_=len(words))
    return [position, by_code_point(column)]
