"""Top-ups of prepaid credit: money in, a paid order, a ledger entry; all at once or not at all (SPEC §2, customer).

There is no VAT on a top-up: what is bought from the credit has its own order, with VAT. Credit never expires.
"""

from __future__ import annotations

import hashlib
from datetime import date

from sqlalchemy import Connection, insert, update

from lifecycle_jobs.db.tables import credit_entries, customers, order_lines, orders
from lifecycle_jobs.errors import LifecycleError
from lifecycle_jobs.history import Origin, euros, record

TOP_UP = "topup"
"""The kind of its order, the reason of its ledger entry, and the item on its one line."""


def place_top_up(connection: Connection, customer_id: str, cents: int, *, request_id: str, on: date) -> tuple[int, str]:
    """The order of a top-up, which waits for its payment; returns its id and number."""
    # Made from what asks for it, not from a sequence: asked for again, it has the same number.
    number = f"T-{hashlib.sha256(request_id.encode()).hexdigest()[:12].upper()}"
    order_id: int = connection.execute(
        insert(orders)
        .values(
            order_number=number,
            kind=TOP_UP,
            customer_id=customer_id,
            placed_on=on,
            net_cents=cents,
            vat_cents=0,
            gross_cents=cents,
            status="awaiting_payment",
        )
        .returning(orders.c.id)
    ).scalar_one()
    connection.execute(
        insert(order_lines).values(
            order_id=order_id,
            position=1,
            item=TOP_UP,
            quantity=1,
            unit_price_cents=cents,
            years=1,
            net_cents=cents,
        )
    )
    return order_id, number


def credit_top_up(connection: Connection, origin: Origin, number: str, *, paid_on: date, by_card: bool) -> int:
    """Close the order of a top-up that was paid, and add its amount to the holder's credit; returns the new balance.

    Money that came after its order was given up is credit too. Raises LifecycleError if the order is paid already: its
    money would become credit twice.
    """
    order = connection.execute(
        update(orders)
        .where(orders.c.order_number == number, orders.c.kind == TOP_UP, orders.c.status != "paid")
        .values(status="paid", paid_on=paid_on)
        .returning(orders.c.customer_id, orders.c.gross_cents)
    ).one_or_none()
    if order is None:
        raise LifecycleError(f"Top-up {number} was overtaken by another change; nothing was changed here.")
    balance: int = connection.execute(
        update(customers)
        .where(customers.c.customer_id == order.customer_id)
        .values(credit_cents=customers.c.credit_cents + order.gross_cents)
        .returning(customers.c.credit_cents)
    ).scalar_one()
    connection.execute(
        insert(credit_entries).values(
            customer_id=order.customer_id,
            occurred_on=origin.occurred_on,
            amount_cents=order.gross_cents,
            balance_after_cents=balance,
            reason=TOP_UP,
            reference=number,
        )
    )
    record(
        connection,
        origin,
        "credit.topped_up",
        customer_id=order.customer_id,
        detail={
            "order_number": number,
            "amount": euros(order.gross_cents),
            "balance": euros(balance),
            "by_card": by_card,
        },
    )
    return balance
