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

from lifecycle_jobs.db.dialect import among, insert_new, joined, listed
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import customers, events, message_events, messages
from lifecycle_jobs.mail.urgency import urgency_of

_AT_A_TIME = 5_000

InHalves = Callable[[Sequence[str], Callable[[Sequence[str]], None]], None]
"""Applies to all customers at once, or to fewer and fewer where that fails."""


@dataclass(frozen=True, slots=True)
class Source:
    """The events that messages are made of, all on one business date, and what the keys of those messages begin with.

    The key is that, customer and kind: `2027-03-24/1/c17/box.suspended`.
    """

    events: ColumnElement[bool]
    prefix: str
    on: date

    def key(self, customer_id: ColumnElement[str], kind: str) -> ColumnElement[str]:
        """The key of a customer's message of a kind."""
        return joined(literal(self.prefix), customer_id, literal(f"/{kind}"))


def of_run(connection: Connection, run_on: date) -> Sequence[Source]:
    """The events of a run, pass by pass."""
    last = connection.scalar(select(func.max(events.c.run_pass)).where(events.c.run_on == run_on)) or 0
    return [
        Source(and_(events.c.run_on == run_on, events.c.run_pass == number), f"{run_on}/{number}/", run_on)
        for number in range(1, last + 1)
    ]


def of_operation(operation: str, occurred_on: date) -> Source:
    """The events of one operation."""
    return Source(
        and_(events.c.operation == operation, events.c.occurred_on == occurred_on), f"{operation}/", occurred_on
    )


def compose(store: Store, source: Source, *, chunk_size: int, in_halves: InHalves) -> int:
    """Queue the messages of all events of a source that have none yet; returns how many were queued."""
    queued = 0
    with store.read() as connection:
        kinds = _kinds(connection, source)
        begun = _begun(connection, source)
    for kind in kinds:
        happened = _happened(source, kind)
        # Nothing has a message yet when the first ones are made: it need not be asked of each event.
        untold = and_(happened, _without_message) if begun else happened
        last: str | None = None
        while True:
            with store.read() as connection:
                chunk = _next_customers(connection, untold, last, chunk_size)
            if not chunk:
                break

            def write(some: Sequence[str], kind: str = kind) -> None:
                nonlocal queued
                with store.write() as connection:
                    queued += _queue(connection, source, kind, some)

            in_halves(chunk, write)
            last = max(chunk)
    return queued


def compose_within(connection: Connection, operation: str, occurred_on: date) -> None:
    """Queue the messages of an operation in the very transaction that wrote its events: both are there, or neither."""
    source = of_operation(operation, occurred_on)
    for kind in _kinds(connection, source):
        untold = and_(_happened(source, kind), _without_message)
        last: str | None = None
        while chunk := _next_customers(connection, untold, last, _AT_A_TIME):
            _queue(connection, source, kind, chunk)
            last = max(chunk)


def _message_kinds() -> Sequence[str]:
    # Every process has this module, few compose, and what all the messages may say takes long to load.
    from lifecycle_jobs.mail.contents import MESSAGE_KINDS

    return MESSAGE_KINDS


def unfinished_operations(connection: Connection, since: date) -> Sequence[Source]:
    """The operations since a day whose process died before it came to compose."""
    rows = connection.execute(
        select(events.c.operation, events.c.occurred_on)
        .distinct()
        .where(
            events.c.operation.is_not(None),
            events.c.occurred_on >= since,
            events.c.kind.in_(_message_kinds()),
            events.c.customer_id.is_not(None),
            _without_message,
        )
        .order_by(events.c.occurred_on, events.c.operation)
    )
    return [of_operation(row.operation, row.occurred_on) for row in rows]


def _kinds(connection: Connection, source: Source) -> Sequence[str]:
    """The kinds of event that happened and are told, in their order.

    An operation writes events of two or three, a run of ten: to ask for each of them all would be most of the work.
    """
    written = set(connection.scalars(select(events.c.kind).distinct().where(source.events)))
    return [kind for kind in _message_kinds() if kind in written]


def _begun(connection: Connection, source: Source) -> bool:
    """Whether any message of a source is there."""
    after_the_last = source.prefix.removesuffix("/") + "0"  # what follows the slash
    with_prefix = and_(messages.c.message_key > source.prefix, messages.c.message_key < after_the_last)
    return bool(connection.scalar(select(exists().where(with_prefix))))


def _next_customers(connection: Connection, untold: ColumnElement[bool], last: str | None, limit: int) -> Sequence[str]:
    after = and_(True) if last is None else events.c.customer_id > last
    chosen = (
        select(events.c.customer_id)
        .distinct()
        .where(untold, after)
        .order_by(events.c.customer_id)
        .limit(limit)
        .subquery("chosen")
    )
    found: Sequence[str] = connection.execute(select(listed(chosen.c.customer_id))).scalar_one()
    return found


def _queue(connection: Connection, source: Source, kind: str, chunk: Sequence[str]) -> int:
    fresh: dict[str, ColumnElement[Any]] = {
        "message_key": source.key(customers.c.customer_id, kind),
        "customer_id": customers.c.customer_id,
        "kind": literal(kind, messages.c.kind.type),
        "locale": customers.c.locale,
        "recipient": customers.c.email,
        "created_on": literal(source.on),
        "status": literal("queued"),
        "recipient_key": func.lower(customers.c.email),
        "urgency": literal(urgency_of(kind)),
    }
    rows: Select[Any] = (
        select(*[value.label(name) for name, value in fresh.items()])
        .where(among(customers.c.customer_id, chunk))
        .order_by(customers.c.customer_id)
    )
    counted = connection.execution_options(preserve_rowcount=True)
    queued = counted.execute(
        insert_new(connection, messages, messages.c.message_key).from_select(list(fresh), rows)
    ).rowcount
    links = (
        select(events.c.id, messages.c.id)
        .select_from(events.join(messages, messages.c.message_key == source.key(events.c.customer_id, kind)))
        .where(source.events, events.c.kind == kind, among(events.c.customer_id, chunk))
    )
    # If each of them has only now been given a message, none of their events has one: it need not be asked for each.
    all_new = queued == len(chunk)
    linking = insert(message_events) if all_new else insert_new(connection, message_events, message_events.c.event_id)
    connection.execute(linking.from_select(["event_id", "message_id"], links))
    return queued


def _happened(source: Source, kind: str) -> ColumnElement[bool]:
    return and_(source.events, events.c.kind == kind, events.c.customer_id.is_not(None))


_without_message: ColumnElement[bool] = ~exists().where(message_events.c.event_id == events.c.id)
