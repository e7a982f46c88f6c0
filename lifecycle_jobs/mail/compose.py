"""Make messages from events: one per customer, event kind and pass of a run, or operation outside a run (SPEC §4).

Written on the server, customers by the chunk: a row in `messages` and one link per event. Every event belongs to at
most one message; that, and the message's key, are unique in the database, so composing again adds only what is missing.
What the message says is read when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, func, insert, literal, select

from lifecycle_jobs.db.dialect import among, joined
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import customers, events, message_events, messages
from lifecycle_jobs.mail.contents import MESSAGE_KINDS
from lifecycle_jobs.mail.urgency import urgency_of

_AT_A_TIME = 5_000

InHalves = Callable[[Sequence[str], Callable[[Sequence[str]], None]], None]
"""Applies to all customers at once, or to fewer and fewer where that fails."""


@dataclass(frozen=True, slots=True)
class Source:
    """The events that messages are made of, and the key of a message: `…/c17/box.suspended`."""

    events: ColumnElement[bool]
    key: ColumnElement[str]


def of_run(run_on: date) -> Source:
    """The events of a run; the key is run, pass, customer, kind: `2027-03-24/1/c17/box.suspended`."""
    slash = literal("/")
    return Source(
        events.c.run_on == run_on,
        joined(events.c.run_on, slash, events.c.run_pass, slash, events.c.customer_id, slash, events.c.kind),
    )


def of_operation(operation: str, occurred_on: date) -> Source:
    """The events of one operation; the key is operation, customer, kind."""
    slash = literal("/")
    return Source(
        and_(events.c.operation == operation, events.c.occurred_on == occurred_on),
        joined(events.c.operation, slash, events.c.customer_id, slash, events.c.kind),
    )


def compose(store: Store, source: Source, *, chunk_size: int, in_halves: InHalves) -> int:
    """Queue the messages of all events of a source that have none yet; returns how many were queued."""
    queued = 0
    for kind in MESSAGE_KINDS:
        last: str | None = None
        while True:
            with store.read() as connection:
                chunk = _next_customers(connection, source, kind, last, chunk_size)
            if not chunk:
                break

            def write(some: Sequence[str], kind: str = kind) -> None:
                nonlocal queued
                with store.write() as connection:
                    queued += _queue(connection, source, kind, some)

            in_halves(chunk, write)
            last = chunk[-1]
    return queued


def compose_within(connection: Connection, operation: str, occurred_on: date) -> None:
    """Queue the messages of an operation in the very transaction that wrote its events: both are there, or neither."""
    source = of_operation(operation, occurred_on)
    for kind in MESSAGE_KINDS:
        last: str | None = None
        while chunk := _next_customers(connection, source, kind, last, _AT_A_TIME):
            _queue(connection, source, kind, chunk)
            last = chunk[-1]


def unfinished_operations(connection: Connection, since: date) -> Sequence[Source]:
    """The operations since a day whose process died before it came to compose."""
    rows = connection.execute(
        select(events.c.operation, events.c.occurred_on)
        .distinct()
        .where(
            events.c.operation.is_not(None),
            events.c.occurred_on >= since,
            events.c.kind.in_(MESSAGE_KINDS),
            events.c.customer_id.is_not(None),
            ~exists().where(message_events.c.event_id == events.c.id),
        )
        .order_by(events.c.occurred_on, events.c.operation)
    )
    return [of_operation(row.operation, row.occurred_on) for row in rows]


def _next_customers(connection: Connection, source: Source, kind: str, last: str | None, limit: int) -> Sequence[str]:
    after = and_(True) if last is None else events.c.customer_id > last
    return connection.scalars(
        select(events.c.customer_id)
        .distinct()
        .where(_without_message(source, kind), after)
        .order_by(events.c.customer_id)
        .limit(limit)
    ).all()


def _queue(connection: Connection, source: Source, kind: str, chunk: Sequence[str]) -> int:
    chosen = and_(_without_message(source, kind), among(events.c.customer_id, chunk))
    key = source.key
    fresh: Select[Any] = (
        select(
            key.label("message_key"),
            customers.c.customer_id,
            events.c.kind,
            customers.c.locale,
            customers.c.email,
            events.c.occurred_on,
            literal("queued").label("status"),
            func.lower(customers.c.email).label("recipient_key"),
            literal(urgency_of(kind)).label("urgency"),
        )
        .distinct()
        .select_from(events.join(customers, customers.c.customer_id == events.c.customer_id))
        .where(chosen, ~exists().where(messages.c.message_key == key))
        .order_by(customers.c.customer_id)
    )
    columns = [
        "message_key",
        "customer_id",
        "kind",
        "locale",
        "recipient",
        "created_on",
        "status",
        "recipient_key",
        "urgency",
    ]
    inserted = connection.execute(insert(messages).from_select(columns, fresh).returning(messages.c.id)).all()
    links = (
        select(events.c.id, messages.c.id)
        .select_from(events.join(messages, messages.c.message_key == key))
        .where(chosen)
    )
    connection.execute(insert(message_events).from_select(["event_id", "message_id"], links))
    return len(inserted)


def _without_message(source: Source, kind: str) -> ColumnElement[bool]:
    return and_(
        source.events,
        events.c.kind == kind,
        events.c.customer_id.is_not(None),
        ~exists().where(message_events.c.event_id == events.c.id),
    )
