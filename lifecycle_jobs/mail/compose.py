"""Make messages from events: one per customer, event kind and pass of a run (SPEC §4).

Written on the server, customers by the chunk: a row in `messages` and one link per event. Every event belongs to at
most one message; that, and the message's key, are unique in the database, so composing again adds only what is missing.
What the message says is read when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, insert, literal, select

from lifecycle_jobs.db.dialect import among, joined
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import customers, events, message_events, messages
from lifecycle_jobs.mail.contents import MESSAGE_KINDS

InHalves = Callable[[Sequence[str], Callable[[Sequence[str]], None]], None]
"""Applies to all customers at once, or to fewer and fewer where that fails."""


def compose(store: Store, run_on: date, *, chunk_size: int, in_halves: InHalves) -> int:
    """Queue the messages of all events of a run that have none yet; returns how many were queued."""
    queued = 0
    for kind in MESSAGE_KINDS:
        last: str | None = None
        while chunk := _next_customers(store, run_on, kind, last, chunk_size):

            def write(some: Sequence[str], kind: str = kind) -> None:
                nonlocal queued
                with store.write() as connection:
                    queued += _queue(connection, run_on, kind, some)

            in_halves(chunk, write)
            last = chunk[-1]
    return queued


def _next_customers(store: Store, run_on: date, kind: str, last: str | None, limit: int) -> Sequence[str]:
    after = and_(True) if last is None else events.c.customer_id > last
    with store.read() as connection:
        return connection.scalars(
            select(events.c.customer_id)
            .distinct()
            .where(_without_message(run_on, kind), after)
            .order_by(events.c.customer_id)
            .limit(limit)
        ).all()


def _queue(connection: Connection, run_on: date, kind: str, chunk: Sequence[str]) -> int:
    chosen = and_(_without_message(run_on, kind), among(events.c.customer_id, chunk))
    key = _message_key()
    fresh: Select[Any] = (
        select(
            key.label("message_key"),
            customers.c.customer_id,
            events.c.kind,
            customers.c.locale,
            customers.c.email,
            events.c.occurred_on,
            literal("queued").label("status"),
        )
        .distinct()
        .select_from(events.join(customers, customers.c.customer_id == events.c.customer_id))
        .where(chosen, ~exists().where(messages.c.message_key == key))
        .order_by(customers.c.customer_id)
    )
    columns = ["message_key", "customer_id", "kind", "locale", "recipient", "created_on", "status"]
    inserted = connection.execute(insert(messages).from_select(columns, fresh).returning(messages.c.id)).all()
    links = (
        select(events.c.id, messages.c.id)
        .select_from(events.join(messages, messages.c.message_key == key))
        .where(chosen)
    )
    connection.execute(insert(message_events).from_select(["event_id", "message_id"], links))
    return len(inserted)


def _without_message(run_on: date, kind: str) -> ColumnElement[bool]:
    return and_(
        events.c.run_on == run_on,
        events.c.kind == kind,
        events.c.customer_id.is_not(None),
        ~exists().where(message_events.c.event_id == events.c.id),
    )


def _message_key() -> ColumnElement[str]:
    """`2027-03-24/1/c17/box.suspended`: run, pass, customer, kind."""
    slash = literal("/")
    return joined(events.c.run_on, slash, events.c.run_pass, slash, events.c.customer_id, slash, events.c.kind)
