"""What an invariant is, and the form in which its breaches are listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Select, cast, literal, null, select

from lifecycle_jobs.db.dialect import joined
from lifecycle_jobs.db.tables import boxes, events
from lifecycle_jobs.policy import Catalog


@dataclass(frozen=True, slots=True)
class Scope:
    """What the rules depend on: the date of the latest completed run, if there was one, and what is sold."""

    on: date | None
    catalog: Catalog


Query: TypeAlias = Callable[[Scope], Select[Any]]
"""Selects `wrong` (a phrase), `subject` (kind and id, e.g. `order:R-17`) and `address` (the box's, if there is one)."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """Something that must hold: its name, what it means for a holder, and the queries for where it is broken."""

    name: str
    sentence: str
    breaches: Sequence[Query]


def rows(wrong: ColumnElement[Any] | str, kind: str, key: ColumnElement[Any]) -> Select[Any]:
    """The columns of a breach that concerns a box; the table `boxes` is for the caller to join."""
    phrase = literal(wrong) if isinstance(wrong, str) else wrong
    return select(
        phrase.label("wrong"), joined(literal(f"{kind}:"), key).label("subject"), boxes.c.address.label("address")
    )


def of_customer(wrong: ColumnElement[Any], customer_id: ColumnElement[Any]) -> Select[Any]:
    """The columns of a breach that concerns a customer and no box."""
    nowhere = cast(null(), boxes.c.address.type)
    return select(
        wrong.label("wrong"), joined(literal("customer:"), customer_id).label("subject"), nowhere.label("address")
    )


def detail(name: str) -> ColumnElement[str]:
    """A word in an event's detail."""
    word: ColumnElement[str] = events.c.detail[name].as_string()
    return word
