"""A queue of expiry alerts as a run leaves it: each of one customer, about one box. Written by the database itself."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any, Final

from sqlalchemy import CTE, Connection, Date, Table, case, func, insert, literal, select, text

from lifecycle_jobs.db.dialect import joined, json_object
from lifecycle_jobs.db.schema import upgrade
from lifecycle_jobs.db.session import open_store
from lifecycle_jobs.db.tables import boxes, customers, events, message_events, messages

KIND: Final = "box.expiry_alert"
_DAYS_LEFT: Final = 30


def fill(url: str, number: int, today: date) -> None:
    """Create the schema with so many messages that wait on a business date."""
    store = open_store(url)
    try:
        upgrade(store)
        with store.write() as connection:
            _queue(connection, number, today)
        if store.dialect == "postgresql":
            # In life autovacuum has seen the tables long ago.
            with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM (ANALYZE)"))
    finally:
        store.engine.dispose()


def by_status(url: str) -> dict[str, int]:
    """How many messages stand how."""
    counted = select(messages.c.status, func.count()).group_by(messages.c.status)
    store = open_store(url)
    try:
        with store.read() as connection:
            return {row[0]: row[1] for row in connection.execute(counted)}
    finally:
        store.engine.dispose()


def _queue(connection: Connection, number: int, today: date) -> None:
    numbers = _numbers(number)
    n = numbers.c.n
    customer, email = joined(literal("c"), n), joined(literal("holder"), n, literal("@example.it"))
    locale = case((n % 2 == 0, "en"), else_="it")
    address = joined(literal("box"), n, literal("@pec.example.it"))
    expires_on = literal(today + timedelta(days=_DAYS_LEFT), Date())
    on = literal(today, Date())
    detail = json_object(literal("milestone"), literal(_DAYS_LEFT), literal("days_left"), literal(_DAYS_LEFT))
    _insert(
        connection,
        customers,
        numbers,
        customer_id=customer,
        name=joined(literal("Holder "), n),
        email=email,
        locale=locale,
    )
    _insert(
        connection,
        boxes,
        numbers,
        id=n,
        address=address,
        address_key=address,
        customer_id=customer,
        plan=literal("standard"),
        status=literal("active"),
        expires_on=expires_on,
        renewal_years=literal(1),
        auto_renew=literal(value=False),
    )
    _insert(
        connection,
        events,
        numbers,
        id=n,
        occurred_on=on,
        kind=literal(KIND),
        box_id=n,
        customer_id=customer,
        term_expires_on=expires_on,
        milestone=literal(_DAYS_LEFT),
        detail=detail,
        run_on=on,
        run_pass=literal(1),
        job=literal("send_alerts"),
    )
    _insert(
        connection,
        messages,
        numbers,
        id=n,
        message_key=joined(on, literal("/1/"), customer, literal(f"/{KIND}")),
        customer_id=customer,
        kind=literal(KIND),
        locale=locale,
        recipient=email,
        recipient_key=email,
        created_on=on,
        status=literal("queued"),
    )
    _insert(connection, message_events, numbers, event_id=n, message_id=n)


def _numbers(number: int) -> CTE:
    first = select(literal(1).label("n")).cte("numbers", recursive=True)
    return first.union_all(select(first.c.n + 1).where(first.c.n < number))


def _insert(connection: Connection, table: Table, numbers: CTE, **values: Any) -> None:
    rows = select(*values.values()).select_from(numbers)
    connection.execute(insert(table).from_select(list(values), rows))
