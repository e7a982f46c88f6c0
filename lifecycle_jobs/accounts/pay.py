"""Paying a renewal order by hand: a bank transfer, a payment slip, cash at the counter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select
from sqlalchemy.exc import IntegrityError

from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import boxes, orders, registered_payments
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.mail.compose import compose_within
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.orders import load_orders
from lifecycle_jobs.payments.renewals import Settled, apply_renewals


@dataclass(frozen=True, slots=True)
class Registered:
    """A payment that is in the books. If it is not `effective`, its order could not take it: it is to be refunded.

    `known`: it had been registered before, and nothing was done now.
    """

    order_number: str
    effective: bool
    known: bool = False


def register_payment(
    store: Store, operator: Operator, order_number: str, *, amount_cents: int, reference: str
) -> Registered:
    """Book a payment that arrived outside the gateway (a bank transfer, say) for a renewal order, and renew the box.

    `reference` is what the bank calls the payment; the same one is registered once, however often it is asked for. If
    a charge of the same order succeeds before this, this payment is to be refunded; if one is in flight now, the box
    is renewed, and the charge is to be refunded should it succeed. Raises Refused for an unknown order, one that is no
    renewal or on account, another amount than the order's, or a reference that stands for another payment.
    """
    try:
        return _register(store, operator, order_number, amount_cents, reference)
    except IntegrityError as error:
        with store.read() as connection:
            taken = _known(connection, reference) is not None
        if not taken:
            raise
        message = f"The reference {reference} was registered at this very moment. Nothing was done; look again."
        raise Refused(message) from error


def _register(store: Store, operator: Operator, order_number: str, amount_cents: int, reference: str) -> Registered:
    origin = operator.operation()
    with store.write() as connection:
        order = _order(connection, order_number)
        known = _known(connection, reference)
        if known is not None:
            return _again(known, order, amount_cents)
        if order.status == "on_account":
            message = f"Order {order_number} is on account: the invoice collects it, not a payment of the order."
            raise Refused(message)
        if amount_cents != order.gross_cents:
            message = f"Order {order_number} is for {euros(order.gross_cents)}, not {euros(amount_cents)}."
            raise Refused(message)
        settled = Settled(load_orders(connection, [order.id])[order.id], "paid", None)
        effective = bool(apply_renewals(connection, origin, [settled]))
        connection.execute(
            insert(registered_payments).values(
                order_id=order.id,
                reference=reference,
                amount_cents=amount_cents,
                registered_on=operator.on,
                actor=operator.name,
                why=operator.why,
                effective=effective,
            )
        )
        _record(connection, origin, order, reference, effective=effective)
        compose_within(connection, str(origin.operation), operator.on)
        return Registered(order_number, effective)


def _order(connection: Connection, order_number: str) -> Row[Any]:
    """The order, with its box locked."""
    order = connection.execute(select(orders).where(orders.c.order_number == order_number)).one_or_none()
    if order is None:
        message = f"There is no order {order_number}."
        raise Refused(message)
    if order.kind != "renewal":
        message = f"Order {order_number} is not for the renewal of a box; only those are paid by hand."
        raise Refused(message)
    connection.execute(select(boxes.c.id).where(boxes.c.id == order.box_id).with_for_update(key_share=True))
    return order


def _known(connection: Connection, reference: str) -> Row[Any] | None:
    return connection.execute(
        select(registered_payments).where(registered_payments.c.reference == reference)
    ).one_or_none()


def _again(known: Row[Any], order: Row[Any], amount_cents: int) -> Registered:
    if (known.order_id, known.amount_cents) != (order.id, amount_cents):
        message = f"The reference {known.reference} stands for another payment already. Nothing was done."
        raise Refused(message)
    return Registered(order.order_number, known.effective, known=True)


def _record(connection: Connection, origin: Origin, order: Row[Any], reference: str, *, effective: bool) -> None:
    record(
        connection,
        origin,
        "payment.registered",
        box_id=order.box_id,
        customer_id=order.customer_id,
        term_expires_on=order.term_expires_on,
        detail={
            "order_number": order.order_number,
            "amount": euros(order.gross_cents),
            "reference": reference,
            "effective": effective,
        },
    )
