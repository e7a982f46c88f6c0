"""What has happened to a box, in the order in which it did: history with its messages, charges and orders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import Connection, Row, select

from lifecycle_jobs.db.tables import charges, events, message_events, messages, orders
from lifecycle_jobs.history import euros
from lifecycle_jobs.reasons import because

_NOT_TOLD = frozenset({"advice", "milestone", "order_number"})
"""Details that say nothing to a reader, or what stands beside them already."""


@dataclass(frozen=True, slots=True)
class Happening:
    """One line of a box's past. `by` is a job or a person; `message` how the e-mail about it fared.

    `run_on` is the business date of the run that did it, none if it was done outside of one.
    """

    on: date
    what: str
    told: str
    by: str
    message: str = ""
    run_on: date | None = None


def past_of(connection: Connection, box_id: int) -> list[Happening]:
    """Everything that is on record about a box, oldest first."""
    found = [*_events(connection, box_id), *_charges(connection, box_id), *_orders(connection, box_id)]
    return sorted(found, key=lambda each: each.on)


def _events(connection: Connection, box_id: int) -> Iterator[Happening]:
    rows = connection.execute(
        select(
            events,
            messages.c.status.label("message_status"),
            messages.c.accepted_on,
            messages.c.reply_code,
            messages.c.queue_id,
            message_events.c.moot.label("line_moot"),
        )
        .outerjoin(message_events, message_events.c.event_id == events.c.id)
        .outerjoin(messages, messages.c.id == message_events.c.message_id)
        .where(events.c.box_id == box_id)
        .order_by(events.c.id)
    )
    for row in rows:
        yield Happening(row.occurred_on, row.kind, _told(row), _by(row), _delivery(row), row.run_on)


def _told(row: Row[Any]) -> str:
    if row.job is not None:
        return because(row.kind, row.term_expires_on, row.detail)
    return _spelled(row.detail)


def _spelled(detail: Mapping[str, Any]) -> str:
    told = {name: value for name, value in detail.items() if name not in _NOT_TOLD and value not in (None, [], {}, "")}
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in told.items())


def _by(row: Row[Any]) -> str:
    if row.job is not None:
        return str(row.job)
    why = f" ({row.why})" if row.why else ""
    return f"{row.actor or '-'}{why}"


def _delivery(row: Row[Any]) -> str:
    if row.message_status is None:
        return ""
    if row.line_moot:
        return "moot, left out"
    if row.message_status != "sent":
        return str(row.message_status)
    reply = "" if row.reply_code is None else f", {row.reply_code}"
    queue = "" if row.queue_id is None else f" as {row.queue_id}"
    return f"accepted on {row.accepted_on}{reply}{queue}"


def _charges(connection: Connection, box_id: int) -> Iterator[Happening]:
    rows = connection.execute(select(charges).where(charges.c.box_id == box_id).order_by(charges.c.id))
    for row in rows:
        code = "" if row.decline_code is None else f" ({row.decline_code})"
        told = f"{euros(row.amount_cents)} by {row.method_kind}, {row.slot} days before E: {row.status}{code}"
        yield Happening(row.attempted_on, "charge", told, "auto_renew")


def _orders(connection: Connection, box_id: int) -> Iterator[Happening]:
    rows = connection.execute(select(orders).where(orders.c.box_id == box_id).order_by(orders.c.id))
    for row in rows:
        paid = "" if row.paid_on is None else f" on {row.paid_on}"
        told = f"{row.order_number}, {row.kind}, {euros(row.gross_cents)}: {row.status}{paid}"
        yield Happening(row.placed_on, "order", told, "")
