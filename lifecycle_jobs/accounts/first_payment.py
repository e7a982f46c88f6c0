"""What a new box is paid with, all in the transaction that sells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from sqlalchemy import Connection, Row, insert, select, update

from lifecycle_jobs.db.tables import manual_orders, registered_payments
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.payments.credit import debit, require_credit
from lifecycle_jobs.payments.orders import Order
from lifecycle_jobs.payments.refunds import registered_due

FirstPaidBy = Literal["bank_transfer", "card", "paypal", "credit", "agreement"]


@dataclass(frozen=True, slots=True)
class FirstPayment:
    """How a new box is paid.

    Money that arrived (`bank_transfer`, `card`, `paypal`) comes with its amount, with what the bank calls it, and with
    the day it was paid, today where none; if its reference is that of an unapplied payment, it is that one. The
    holder's credit, and an agreement under which he is invoiced later, need nothing more. A box that costs nothing
    needs no payment.
    """

    by: FirstPaidBy | None = None
    amount_cents: int | None = None
    reference: str | None = None
    paid_on: date | None = None


def take(connection: Connection, origin: Origin, order: Order, payment: FirstPayment) -> None:
    """Take the payment of an order that costs something; raises Refused where it does not suffice, or is not money."""
    price = euros(order.gross_cents)
    if payment.by is None:
        raise Refused(f"It costs {price}: say how it is paid (--pay).")
    if payment.by in {"credit", "agreement"}:
        if payment.amount_cents is not None or payment.reference is not None:
            raise Refused(f"It costs {price}, which {payment.by} pays: leave out amount and reference.")
        if payment.by == "credit":
            _take_credit(connection, origin, order)
        return
    if payment.amount_cents is None or payment.reference is None:
        raise Refused(f"It costs {price}: say what arrived, and what the bank calls it (--amount, --reference).")
    if payment.amount_cents != order.gross_cents:
        raise Refused(
            f"It costs {price}, not {euros(payment.amount_cents)}. Money that arrived is not lost: lifecycle-jobs "
            f"order pay NONE --amount {euros(payment.amount_cents)} --reference {payment.reference} keeps it as an "
            "unapplied payment, to be given back or applied."
        )
    if payment.paid_on is not None and payment.paid_on > origin.occurred_on:
        raise Refused(f"{payment.paid_on} lies in the future: nothing can have been paid then.")
    _take_money(connection, origin, order, payment, payment.reference)


def _take_credit(connection: Connection, origin: Origin, order: Order) -> None:
    require_credit(connection, order.customer_id, order.gross_cents)
    on = origin.occurred_on
    debit(connection, order.customer_id, order.gross_cents, on=on, reason="renewal", order_number=order.number)
    connection.execute(insert(manual_orders).values(order_id=order.id, pay_by="credit"))


def _take_money(connection: Connection, origin: Origin, order: Order, payment: FirstPayment, reference: str) -> None:
    known = connection.execute(
        select(registered_payments).where(registered_payments.c.reference == reference).with_for_update()
    ).one_or_none()
    if known is None:
        _register(connection, origin, order, payment, reference)
    else:
        _apply(connection, order, known)
    connection.execute(insert(manual_orders).values(order_id=order.id, pay_by=payment.by))
    record(
        connection,
        origin,
        "payment.registered" if known is None else "payment.applied",
        box_id=order.box_id,
        customer_id=order.customer_id,
        term_expires_on=order.term_expires_on,
        detail={
            "order_number": order.number,
            "amount": euros(order.gross_cents),
            "reference": reference,
            "effective": True,
            "unapplied_because": None,
        },
    )


def _register(connection: Connection, origin: Origin, order: Order, payment: FirstPayment, reference: str) -> None:
    connection.execute(
        insert(registered_payments).values(
            order_id=order.id,
            order_number=order.number,
            reference=reference,
            amount_cents=order.gross_cents,
            paid_by=payment.by,
            paid_on=payment.paid_on or origin.occurred_on,
            registered_on=origin.occurred_on,
            actor=origin.actor,
            why=origin.why,
            effective=True,
        )
    )


def _apply(connection: Connection, order: Order, known: Row[Any]) -> None:
    applied = connection.execute(
        update(registered_payments)
        .where(
            registered_payments.c.id == known.id,
            registered_payments.c.amount_cents == order.gross_cents,
            registered_due,
        )
        .values(effective=True, order_id=order.id, order_number=order.number, unapplied_because=None)
    )
    if applied.rowcount != 1:
        raise Refused(f"The reference {known.reference} stands for another payment already. Nothing was done.")
