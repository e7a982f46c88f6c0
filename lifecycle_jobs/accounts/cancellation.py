"""Cancelling an order that waits for its payment, whoever placed it: the holder, a clerk or auto-renew."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter
from sqlalchemy import Connection, select, update

from lifecycle_jobs.accounts.requests import Request, once
from lifecycle_jobs.accounts.settling import lock_order
from lifecycle_jobs.db.conditions import unresolved
from lifecycle_jobs.db.session import Store
from lifecycle_jobs.db.tables import charges, orders
from lifecycle_jobs.errors import LifecycleError, Refused
from lifecycle_jobs.history import Origin, euros, record
from lifecycle_jobs.operators import Operator


@dataclass(frozen=True, slots=True)
class CancelledOrder:
    """An order that is not to be paid any more. `renews_itself`: auto-renew will place another when its day comes."""

    order_number: str
    address: str
    renews_itself: bool


_RESULTS = TypeAdapter(CancelledOrder)


def cancel_order(
    store: Store, operator: Operator, order_number: str, *, request_id: str, customer_id: str | None = None
) -> CancelledOrder:
    """Cancel an order of a renewal or of extra space that waits for its payment, and tell the holder of its box.

    Raises Refused for an order that is not there (or not `customer_id`'s, where that is given), not open, or being
    charged at this moment.
    """
    arguments = {"order_number": order_number, "customer_id": customer_id}
    return once(
        store,
        operator,
        Request(request_id, "order.cancel", arguments, _RESULTS),
        lambda connection, origin: _cancel(connection, origin, order_number, customer_id),
    )


def _cancel(connection: Connection, origin: Origin, order_number: str, customer_id: str | None) -> CancelledOrder:
    order = lock_order(connection, order_number)
    if order is None or customer_id not in {None, order.customer_id}:
        raise Refused(f"There is no order {order_number}.")
    if order.kind not in {"renewal", "addon"}:
        raise Refused(f"Order {order_number} is for no box: what becomes of a top-up only its payment decides.")
    if order.status != "awaiting_payment":
        state = order.status.replace("_", " ")
        raise Refused(f"Order {order_number} is {state} already; only one that waits for its payment is cancelled.")
    if connection.scalar(select(charges.c.id).where(charges.c.order_id == order.id, unresolved)) is not None:
        raise Refused(
            f"Order {order_number} is being charged, and nobody knows the outcome yet. Cancel it when that is settled "
            "(lifecycle-jobs reconcile)."
        )
    cancelled = update(orders).where(orders.c.id == order.id, orders.c.status == "awaiting_payment")
    if connection.execute(cancelled.values(status="cancelled")).rowcount != 1:
        raise LifecycleError(f"Order {order_number} was overtaken by another change; nothing was changed here.")
    record(
        connection,
        origin,
        "order.cancelled" if order.kind == "renewal" else "addon.order_cancelled",
        box_id=order.box_id,
        customer_id=order.customer_id,
        term_expires_on=order.term_expires_on,
        detail={
            "order_number": order_number,
            "gross": euros(order.gross_cents),
            "renews_itself": order.of_box_auto_renew,
        },
    )
    return CancelledOrder(order_number, order.of_box_address, order.kind == "renewal" and order.of_box_auto_renew)
