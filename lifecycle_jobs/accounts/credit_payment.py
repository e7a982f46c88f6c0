"""Paying an order from its holder's prepaid credit."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, insert, update

from lifecycle_jobs.accounts.addon_orders import ADDON
from lifecycle_jobs.accounts.finding import is_being_charged
from lifecycle_jobs.accounts.pay import PAYMENT_RESULTS, Paid, paid_of
from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.accounts.settling import lock_order, settle, why_not_payable
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import manual_orders
from lifecycle_jobs.errors import Refused
from lifecycle_jobs.history import Origin
from lifecycle_jobs.operators import Operator
from lifecycle_jobs.payments.credit import debit, require_credit
from lifecycle_jobs.policy import Catalog


def pay_from_credit(
    store: Store,
    catalog: Catalog,
    operator: Operator,
    order_number: str,
    *,
    request_id: str,
    customer_id: str | None = None,
) -> Paid:
    """Pay a renewal order from its holder's prepaid credit, and renew the box.

    Raises Refused for an order that is not there (or not `customer_id`'s, where that is given), cannot be paid, or is
    being charged at this moment, or where the credit does not suffice, with what is missing.
    """
    arguments = {"order_number": order_number, "paid_by": "credit", "customer_id": customer_id}
    return once(
        store,
        operator,
        Request(request_id, "order.pay", arguments, PAYMENT_RESULTS),
        lambda connection, origin: _pay_from_credit(connection, origin, catalog, order_number, customer_id),
    )


def take_credit(connection: Connection, origin: Origin, catalog: Catalog, order: Row[Any]) -> None:
    """Pay a payable order that is locked from credit; raises Refused where that does not suffice."""
    require_credit(connection, order.customer_id, order.gross_cents)
    debit(
        connection,
        order.customer_id,
        order.gross_cents,
        on=origin.occurred_on,
        reason="renewal",
        order_number=order.order_number,
    )
    if (
        connection.execute(
            update(manual_orders).where(manual_orders.c.order_id == order.id).values(pay_by="credit")
        ).rowcount
        == 0
    ):
        connection.execute(insert(manual_orders).values(order_id=order.id, pay_by="credit"))
    settle(connection, origin, catalog, order, method="credit", paid_on=origin.occurred_on)


def _pay_from_credit(
    connection: Connection, origin: Origin, catalog: Catalog, order_number: str, customer_id: str | None
) -> Paid:
    order = lock_order(connection, order_number)
    if order is None or customer_id not in {None, order.customer_id}:
        raise Refused(f"There is no order {order_number}.")
    if order.kind == ADDON:
        raise Refused(
            f"Order {order_number} is for extra space. To pay that from credit, cancel the order and buy it "
            "(lifecycle-jobs addon buy)."
        )
    because = why_not_payable(order)
    if because is not None:
        raise Refused(f"Order {order_number} cannot be paid: {because}.")
    if is_being_charged(connection, order.of_box_id):
        raise Refused(
            f"Order {order_number} is being charged, and nobody knows the outcome yet: no credit is taken for what may "
            "be paid already. Ask again when that is settled (lifecycle-jobs reconcile)."
        )
    take_credit(connection, origin, catalog, order)
    return paid_of(connection, order, order_number)
