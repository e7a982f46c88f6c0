"""The append-only history: what happened to whom, on which business date, and why (SPEC §2, event)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Insert, Row, Select, insert, literal, select

from lifecycle_jobs.db.tables import boxes, events


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an event comes from: a job of a run, or a person (`actor`, with `why`).

    What one command causes outside a run is an `operation`: its messages are made from its events.
    """

    occurred_on: date
    run_on: date | None = None
    run_pass: int | None = None
    job: str | None = None
    actor: str | None = None
    why: str | None = None
    operation: str | None = None


def record(
    connection: Connection,
    origin: Origin,
    kind: str,
    *,
    box_id: int | None = None,
    addon_id: str | None = None,
    customer_id: str | None = None,
    term_expires_on: date | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Append one event. Amounts in `detail` are decimal euros, dates ISO."""
    connection.execute(
        insert(events).values(
            **_origin_values(origin),
            kind=kind,
            box_id=box_id,
            addon_id=addon_id,
            customer_id=customer_id,
            term_expires_on=term_expires_on,
            detail=dict(detail or {}),
        )
    )


def record_of_box(connection: Connection, origin: Origin, kind: str, box: Row[Any], detail: Mapping[str, Any]) -> None:
    """Append one event of a box, in the term in which the row has it."""
    record(
        connection,
        origin,
        kind,
        box_id=box.id,
        customer_id=box.customer_id,
        term_expires_on=box.expires_on,
        detail=detail,
    )


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a box in a term. Amounts in `detail` are decimal euros, dates ISO."""

    kind: str
    box_id: int
    customer_id: str
    term_expires_on: date
    detail: Mapping[str, Any]


def record_all(connection: Connection, origin: Origin, happened: Sequence[Event]) -> None:
    """Append several events at once, in their order."""
    if happened:
        common = _origin_values(origin)
        connection.execute(insert(events), [common | asdict(event) for event in happened])


def event_of_each(
    origin: Origin,
    kind: str,
    chosen: ColumnElement[bool],
    *,
    detail: ColumnElement[Any],
    milestone: int | None = None,
) -> Insert:
    """The statement that appends one event for each chosen box, on the server, in the order of E and address."""
    values: dict[str, ColumnElement[Any]] = {
        name: literal(value, events.c[name].type) for name, value in _origin_values(origin).items()
    }
    values |= {
        "kind": literal(kind, events.c.kind.type),
        "box_id": boxes.c.id,
        "customer_id": boxes.c.customer_id,
        "term_expires_on": boxes.c.expires_on,
        "milestone": literal(milestone, events.c.milestone.type),
        "detail": detail,
    }
    rows: Select[Any] = (
        select(*[value.label(name) for name, value in values.items()])
        .where(chosen)
        .order_by(boxes.c.expires_on, boxes.c.address_key)
    )
    return insert(events).from_select(list(values), rows)


def euros(cents: int) -> str:
    """An amount as the files and the history write it: 1208 → `12.08`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def _origin_values(origin: Origin) -> dict[str, Any]:
    return {
        "occurred_on": origin.occurred_on,
        "run_on": origin.run_on,
        "run_pass": origin.run_pass,
        "job": origin.job,
        "actor": origin.actor,
        "why": origin.why,
        "operation": origin.operation,
    }
